import { type Workload, celLiteral, hostnames } from '@kata-agent/workloads';
import type { ExtraRule } from '../write/extra-rule.js';

/** Rules for both the sandbox and its containers. */
export function sandboxRules(workloads: readonly Workload[]): readonly ExtraRule[] {
  const names = celLiteral(`^(${[...new Set(workloads.map(hostnames))].join('|')})$`);
  const shares = workloads.some(({ sharesProcesses }) => sharesProcesses);
  return [hooks, hostname(names), ...(shares ? [] : processes)];
}

const hooks: ExtraRule = {
  name: 'hooks',
  method: 'CreateSandbox',
  description: 'The host adds no hooks and no kernel modules to the guest. Every pod.',
  expression: 'request.guest_hook_path == "" && request.kernel_modules.size() == 0',
  message: 'no hooks and no kernel modules are added to this guest',
};

function hostname(names: string): ExtraRule {
  return {
    name: 'host-names',
    method: 'CreateSandbox',
    description: 'The hostname of the pod. metadata.name, hostname',
    expression: `request.hostname == "" || request.hostname.matches(${names})`,
    message: 'no pod of the workload has this hostname',
  };
}

const processes: readonly ExtraRule[] = (['CreateSandbox', 'CreateContainer'] as const).map((method) => ({
  name: 'processes',
  method,
  description: 'Containers do not share a PID namespace. shareProcessNamespace',
  expression: '!request.sandbox_pidns',
  message: 'this pod does not share its PID namespace',
}));
