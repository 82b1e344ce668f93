import { type Workload, celLiteral, hostnames } from '@kata-agent/workloads';
import type { ExtraRule } from '../write/plan.js';
import { everyPod } from './every-pod.js';

/** Rules for both the sandbox and its containers. */
export function sandboxRules(workloads: readonly Workload[]): readonly ExtraRule[] {
  const names = celLiteral(`^(${[...new Set(workloads.map(hostnames))].join('|')})$`);
  const shares = workloads.some(({ sharesProcesses }) => sharesProcesses);
  return [...everyPod('hooks'), hostname(names), ...(shares ? [] : everyPod('processes'))];
}

function hostname(names: string): ExtraRule {
  return {
    name: 'host-names',
    method: 'CreateSandbox',
    description: 'The hostname of the pod. metadata.name, hostname',
    expression: `request.hostname == "" || request.hostname.matches(${names})`,
    message: 'no pod of the workload has this hostname',
  };
}

/** Rules for the network. The host defines the guest's network, except the loopback device. */
export const networkRules: readonly ExtraRule[] = everyPod('loopback');
