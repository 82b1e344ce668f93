import type { MethodName } from '@kata-agent/catalogue';
import {
  celLiteral,
  type ExpectedCall,
  maskedPaths,
  optionalMaskedPaths,
  readOnlyPaths,
  type Workload,
} from '@kata-agent/workloads';
import type { ExtraRule } from '../write/plan.js';

/** Rules for fields that are the same for every pod. */
export const requestRules: readonly ExtraRule[] = [
  ...(['CreateContainer', 'ExecProcess'] as const).map((method) => ({
    method,
    name: 'side-channels',
    description: 'Standard streams use calls, not vsock ports of the host. Every pod.',
    expression: 'request.stdin_port == 0 && request.stdout_port == 0 && request.stderr_port == 0',
    message: 'no process of the workload uses ports for its standard streams',
  })),
  {
    method: 'CreateContainer',
    name: 'versions',
    description:
      'The first process is named like its container or not at all; the OCI version is 1. Every pod.',
    expression:
      'request.exec_id in ["", request.container_id] && request.OCI.Version.matches("^1[.][0-9]+[.][0-9]+(-dev)?$")',
    message: 'no runtime sends such a request',
  },
  {
    method: 'CreateContainer',
    name: 'proc-paths',
    description: 'Masked and read-only paths are in /proc and /sys, and are those of engines. Every pod.',
    expression: pathsOfProc(),
    message: 'a masked or read-only path that no engine sets',
  },
  {
    method: 'CreateContainer',
    name: 'cgroups',
    description: 'The cgroup is the one that the kubelet sets for this container. Every pod.',
    expression:
      'request.OCI.Linux.CgroupsPath == "" ||\n' +
      'request.OCI.Linux.CgroupsPath.matches("^/?([A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*[/:])*[A-Za-z0-9_.-]+$") &&\n' +
      '(request.OCI.Linux.CgroupsPath.endsWith("/" + request.container_id) ||\n' +
      '  request.OCI.Linux.CgroupsPath.endsWith(":" + request.container_id))',
    message: 'this is not the cgroup of this container',
  },
  {
    method: 'CreateContainer',
    name: 'namespaces-unique',
    description: 'No namespace is listed twice. Every pod.',
    expression:
      'request.OCI.Linux.Namespaces.all(n, request.OCI.Linux.Namespaces.exists_one(o, o.Type == n.Type))',
    message: 'a namespace is listed twice',
  },
  {
    method: 'CreateContainer',
    name: 'resources',
    description:
      'Only the memory and CPU limits that the kubelet sets, and no other cgroup setting. Every pod.',
    expression: [
      '!has(request.OCI.Linux.Resources) ||',
      'request.OCI.Linux.Resources.Memory.Kernel == 0 && request.OCI.Linux.Resources.Memory.KernelTCP == 0 &&',
      'request.OCI.Linux.Resources.Memory.Swappiness == 0u && !request.OCI.Linux.Resources.Memory.DisableOOMKiller &&',
      'request.OCI.Linux.Resources.CPU.RealtimeRuntime == 0 && request.OCI.Linux.Resources.CPU.RealtimePeriod == 0u &&',
      'request.OCI.Linux.Resources.HugepageLimits.all(l, l.Pagesize.matches("^[0-9]+[KMG]B$"))',
    ].join('\n'),
    message: 'no pod of the workload sets such a resource',
  },
  ...(
    [
      ['CreateContainer', 'request.OCI.Process'],
      ['ExecProcess', 'request.process'],
    ] as const
  ).map(([method, process]) => ({
    method,
    name: 'process-limits',
    description: 'Rlimits, OOM score and console size are as engines set them. Every pod.',
    expression:
      `${process}.Rlimits.all(l, l.Type == "RLIMIT_NOFILE" && l.Soft <= l.Hard && l.Soft >= 1024u &&\n` +
      `  ${process}.Rlimits.size() == 1) &&\n` +
      `${process}.OOMScoreAdj >= -998 && ${process}.OOMScoreAdj <= 1000 && (terminal || !has(${process}.ConsoleSize))`,
    message: 'no process of the workload has such rlimits, such an OOM score, or a console size',
  })),
  {
    method: 'CreateSandbox',
    name: 'resolvers',
    description: 'The DNS entries are lines of resolv.conf. Every pod.',
    expression:
      'request.sandbox_id != "" &&\n' +
      'request.dns.all(d, d.matches("^((nameserver|search|domain|options|sortlist)[ \\\\t][A-Za-z0-9 \\\\t.:%_/-]*|#[ -~]*)?$"))',
    message: 'this is not a line of resolv.conf, or the sandbox has no ID',
  },
  {
    method: 'CopyFile',
    name: 'file-modes',
    description: 'No copied file is setuid, and only directories can be setgid. Every pod.',
    expression:
      'request.file_mode % 4096u < 512u || file_type == "directory" && request.file_mode % 4096u < 2048u || file_type == "symlink"',
    message: 'files of volumes are neither setuid nor setgid',
  },
  {
    method: 'UpdateEphemeralMounts',
    name: 'sizes',
    description: 'Only the size of a tmpfs volume changes. emptyDir',
    expression:
      'request.storages.all(s, s.source == "tmpfs" && s.driver_options.size() == 0 && !has(s.fs_group) && !s.shared &&\n' +
      '  s.options.all(o, o == "remount" || o.matches("^(size|nr_inodes)=[0-9]+[kKmMgG%]?$")))',
    message: 'only the size of a tmpfs volume can be changed',
  },
];

function pathsOfProc(): string {
  const linux = 'request.OCI.Linux';
  const masked = celLiteral([...maskedPaths, ...optionalMaskedPaths, ...readOnlyPaths]);
  const perCpu = 'p.matches("^/sys/devices/system/cpu/cpu[0-9]+/thermal_throttle$")';
  return (
    `${linux}.MaskedPaths.all(p, p in ${masked} || ${perCpu}) &&\n` +
    `${linux}.ReadonlyPaths.all(p, p in ${celLiteral(readOnlyPaths)})`
  );
}

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
export const processRules: readonly ExtraRule[] = [
  ...rulesFor('CreateContainer', 'request.OCI.Process', ''),
  ...rulesFor(
    'ExecProcess',
    'request.process',
    ` &&\nrequest.process.ApparmorProfile in ["", "${engineProfile}"]`,
  ),
];

function rulesFor(
  method: 'CreateContainer' | 'ExecProcess',
  process: string,
  profiles: string,
): readonly ExtraRule[] {
  return [
    {
      name: 'labels',
      method,
      description: 'Users are numbers, and there are no SELinux labels. Every pod.',
      expression:
        `!has(request.string_user) && ${process}.User.Username == "" &&\n` +
        `${process}.SelinuxLabel == ""${profiles}`,
      message: 'the process has a label, or a user name, that the workload does not have',
    },
    {
      name: 'gained-capabilities',
      method,
      description: 'Capabilities are not kept when the user changes, and are not inherited. Every pod.',
      expression: `${process}.Capabilities.Ambient.size() == 0 && ${process}.Capabilities.Inheritable.size() == 0`,
      message: 'the workload has no ambient or inheritable capabilities',
    },
  ];
}

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
