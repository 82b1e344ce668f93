import { hostnames } from '../calls/host-name.js';
import type { Workload } from '../pod/workload.js';
import { celLiteral } from '../write/cel-literal.js';
import type { ExtraRule } from '../write/extra-rule.js';

/** What both the sandbox and its containers have to be like. */
export function sandboxRules(workloads: readonly Workload[]): readonly ExtraRule[] {
  const names = celLiteral(`^(${[...new Set(workloads.map(hostnames))].join('|')})$`);
  const shares = workloads.some(({ sharesProcesses }) => sharesProcesses);
  return [hooks, hostname(names), ...(shares ? [] : processes)];
}

const hooks: ExtraRule = {
  name: 'hooks',
  method: 'CreateSandbox',
  says: 'The host adds no hooks and no kernel modules to the guest. Every pod.',
  expression: 'request.guest_hook_path == "" && request.kernel_modules.size() == 0',
  message: 'no hooks and no kernel modules are added to this guest',
};

function hostname(names: string): ExtraRule {
  return {
    name: 'host-names',
    method: 'CreateSandbox',
    says: 'The name that the pod has for a host. metadata.name, hostname',
    expression: `request.hostname == "" || request.hostname.matches(${names})`,
    message: 'no pod of the workload has this host name',
  };
}

const processes: readonly ExtraRule[] = (['CreateSandbox', 'CreateContainer'] as const).map((method) => ({
  name: 'processes',
  method,
  says: 'Containers see no processes of each other. shareProcessNamespace',
  expression: '!request.sandbox_pidns',
  message: 'this pod shares no processes',
}));
