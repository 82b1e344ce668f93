import type { MethodName } from '@kata-agent/catalogue';
import { celLiteral, type ExpectedCall } from '@kata-agent/workloads';
import type { ExtraRule } from '../write/extra-rule.js';

const methods: ReadonlyMap<MethodName, string> = new Map<MethodName, string>([
  ['ReadStdout', 'only the output of containers with stdin or tty is read here'],
  ['ReadStderr', 'only the output of containers with stdin or tty is read here'],
  ['WriteStdin', 'this process has no standard input'],
  ['CloseStdin', 'this process has no standard input'],
  ['TtyWinResize', 'this process has no terminal'],
]);

/**
 * Streams are those of the first processes of the containers whose pod says so. Served for one container, these methods would
 * tell the host what another one and the commands of probes print, and a shell without standard input would execute what the host writes.
 */
export function streamRules(calls: readonly ExpectedCall[]): readonly ExtraRule[] {
  const names = new Map<string, string>();
  const owners = new Map<MethodName, Set<string>>();
  for (const { method, request, container = '' } of calls) {
    const { containerId = '' } = request as { readonly containerId?: string };
    if (method === 'CreateContainer') names.set(containerId, container);
    if (!methods.has(method)) continue;
    const name = names.get(containerId);
    if (name !== undefined) owners.set(method, (owners.get(method) ?? new Set()).add(name));
  }
  return [...methods].map(([method, message]) => ({
    method,
    name: 'streams',
    description: 'Streams of first processes, by container. containers[].stdin, containers[].tty',
    expression:
      'request.exec_id in ["", request.container_id] &&\n' +
      `container.claimed.name in ${celLiteral([...(owners.get(method) ?? [])])}`,
    message,
  }));
}
