import { checkWorkload, type WorkloadReport } from '@kata-agent/analysis';
import type { Configuration } from '@kata-agent/config';
import type { Pods } from './pod-files.js';

/** Checks whether a configuration is sufficient for workloads. Loads the CEL evaluator. */
export async function checkPods(
  configuration: Configuration,
  pods: Pods,
  listener?: string,
): Promise<readonly WorkloadReport[]> {
  const { compileRules } = await import('@kata-agent/gate/rules');
  const named = listener === undefined ? {} : { listener };
  const options = { configuration, compile: compileRules, ...named, ...pods };
  return pods.workloads.map((workload) => checkWorkload(workload, options));
}
