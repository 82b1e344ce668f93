import type { ExpectedCall, ImageConfigs, RuntimeSetup, Workload } from '@kata-agent/workloads';
import type { ExtraRule } from '../write/plan.js';
import { everyPod } from './every-pod.js';
import { containerRules, gpuRules } from './container-rules.js';
import { imageRules } from './image-rules.js';
import { layerRules } from './layer-rules.js';
import { mountRules, sourceRules } from './mount-relation-rules.js';
import { networkRules, sandboxRules } from './sandbox-rules.js';
import { identityRules } from './identity-rules.js';
import { orderRules } from './order-rules.js';
import { ownRequestRules, processRules, requestRules, streamRules } from './request-rules.js';
import { volumeRules } from './volume-rules.js';
import { completenessRules } from './completeness-rules.js';

/**
 * Rules that apply to every request of these workloads beyond lists. They include all checks of genpolicy of Kata
 * Containers 4.1.0 that a rule can express.
 */
export function extraRules(
  workloads: readonly Workload[],
  setup: RuntimeSetup,
  calls: readonly ExpectedCall[],
  images: ImageConfigs,
): readonly ExtraRule[] {
  return [
    ...networkRules,
    ...sandboxRules(workloads),
    ...everyPod('names', 'links'),
    ...containerRules(workloads, setup),
    ...mountRules(workloads, setup),
    ...layerRules(calls, setup, images),
    ...gpuRules(workloads, setup),
    ...processRules,
    ...streamRules(calls),
    ...identityRules(workloads, calls, setup),
    ...imageRules(workloads, setup, images),
    ...sourceRules(calls, setup),
    ...volumeRules(calls, setup),
    ...requestRules,
    ...ownRequestRules(workloads),
    ...completenessRules(calls),
    ...orderRules(workloads),
  ];
}
