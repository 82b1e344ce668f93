import type { MethodName } from '@kata-agent/catalogue';
import { celLiteral, type ExpectedCall, type Workload } from '@kata-agent/workloads';
import type { ExtraRule } from '../write/plan.js';
import { everyPod } from './every-pod.js';

/** Rules for fields that are the same for every pod. */
export const requestRules: readonly ExtraRule[] = everyPod(
  'side-channels',
  'versions',
  'proc-paths',
  'cgroups',
  'namespaces-unique',
  'resources',
  'process-limits',
  'resolvers',
  'file-modes',
  'sizes',
);

/** Rules for fields that only some pods have. */
export function ownRequestRules(workloads: readonly Workload[]): readonly ExtraRule[] {
  const profiles = workloads.flatMap(({ containers }) =>
    containers.flatMap(({ apparmorProfile }) => apparmorProfile ?? []),
  );
  const volumes = workloads.flatMap((workload) =>
    [...workload.volumes.values()].filter(({ memory }) => memory),
  );
  const places = volumes.map(({ name }) => `/run/kata-containers/sandbox/ephemeral/${name}`);
  return [
    {
      method: 'UpdateEphemeralMounts',
      name: 'volumes',
      description: 'Volumes that can be resized. emptyDir',
      expression: `request.storages.all(s, s.mount_point in ${celLiteral([...new Set(places)])})`,
      message: 'this is not a tmpfs volume of the workload',
    },
    {
      method: 'CreateContainer',
      name: 'profiles',
      description:
        "The AppArmor profile is the engine's, or the one in the pod. securityContext.appArmorProfile",
      expression: `request.OCI.Process.ApparmorProfile in ${celLiteral(['', engineProfile, ...new Set(profiles)])}`,
      message: 'no container of the workload has this profile',
    },
  ];
}

/** containerd's default profile; the guest has it only if its kernel has AppArmor. */
const engineProfile = 'cri-containerd.apparmor.d';

/** Rules for the processes of containers of any pod. */
export const processRules: readonly ExtraRule[] = everyPod('labels', 'gained-capabilities');

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
  const ofExecs = new Set<MethodName>();
  for (const { method, request, container = '' } of calls) {
    const { containerId = '', execId = '' } = request as {
      readonly containerId?: string;
      readonly execId?: string;
    };
    if (method === 'CreateContainer') names.set(containerId, container);
    if (!methods.has(method)) continue;
    if (execId !== '') {
      ofExecs.add(method);
      continue;
    }
    const name = names.get(containerId);
    if (name !== undefined) owners.set(method, (owners.get(method) ?? new Set()).add(name));
  }
  return [...methods].map(([method, message]) => ({
    method,
    name: 'streams',
    description: `Streams of first processes, by container${ofExecs.has(method) ? ', and of commands' : ''}. containers[].stdin, containers[].tty`,
    expression:
      'request.exec_id in ["", request.container_id] &&\n' +
      `container.claimed.name in ${celLiteral([...(owners.get(method) ?? [])])}` +
      (ofExecs.has(method) ? ' ||\n!(request.exec_id in ["", request.container_id])' : ''),
    message,
  }));
}
