import { auditVerify } from './targets/audit-verify.js';
import { certificate } from './targets/certificate.js';
import { config } from './targets/config.js';
import { decode } from './targets/decode.js';
import { forward } from './targets/forward.js';
import { frames } from './targets/frames.js';
import { imageDocument } from './targets/image-document.js';
import { kernelCommandLine } from './targets/kernel-command-line.js';
import { policy } from './targets/policy.js';
import { rules } from './targets/rules.js';
import type { Target } from './target.js';

/** By input type; each list has its own test file, so that they run concurrently. */
export const wireTargets: readonly Target[] = [frames, decode, forward, certificate, imageDocument];
export const textTargets: readonly Target[] = [config, kernelCommandLine, policy, rules];
export const fileTargets: readonly Target[] = [auditVerify];

export const targets: readonly Target[] = [...wireTargets, ...textTargets, ...fileTargets];
