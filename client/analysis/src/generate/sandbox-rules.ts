import { type Workload, celLiteral, hostnames } from '@kata-agent/workloads';
import type { ExtraRule } from '../write/plan.js';

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

/** Rules for the network. The host defines the guest's network, except the loopback device. */
export const networkRules: readonly ExtraRule[] = [
  {
    name: 'loopback',
    method: 'UpdateInterface',
    description: 'No interface replaces the loopback device; NOARP is the only flag. Every pod.',
    expression:
      'request.interface.name != "lo" && request.interface.hwAddr != "00:00:00:00:00:00" &&\n' +
      'request.interface.raw_flags in [0, 128]',
    message: 'no interface of a pod is like this',
  },
  {
    name: 'loopback',
    method: 'UpdateRoutes',
    description: 'No route uses the loopback device or its addresses. Every pod.',
    expression:
      'request.routes.Routes.all(r, r.device != "lo" &&\n' +
      '  !r.source.matches("^(::ffff:)?127[.]|^(0{0,4}:){0,7}0{0,3}1(/|$)"))',
    message: 'no route of a pod uses the loopback device',
  },
  {
    name: 'loopback',
    method: 'AddARPNeighbors',
    description: 'Neighbours are single addresses outside of the guest, reachable or permanent. Every pod.',
    expression:
      'request.neighbors.ARPNeighbors.all(n, n.device != "lo" && n.toIPAddress.mask == "" &&\n' +
      '  !n.toIPAddress.address.matches("^(::ffff:)?127[.]|^(0{0,4}:){0,7}0{0,3}1$") &&\n' +
      '  n.state in [2, 128] && n.flags in [0, 8, 128, 136])',
    message: 'no neighbour of a pod is like this',
  },
];
