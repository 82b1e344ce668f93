import { auditVerify } from './targets/audit-verify.js';
import { config } from './targets/config.js';
import { decode } from './targets/decode.js';
import { frames } from './targets/frames.js';
import { kernelLine } from './targets/kernel-line.js';
import { policy } from './targets/policy.js';
import type { Target } from './target.js';

/** What reads bytes that somebody else wrote: from the wire, and from files and lines. */
export const wireTargets: readonly Target[] = [frames, decode];
export const textTargets: readonly Target[] = [config, kernelLine, policy, auditVerify];

export const targets: readonly Target[] = [...wireTargets, ...textTargets];
