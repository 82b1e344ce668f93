import { optionalMaskedPaths, maskedPaths, readOnlyPaths } from '../calls/masked-paths.js';
import type { Workload } from '../pod/workload.js';
import { celLiteral } from '../write/cel-literal.js';
import type { ExtraRule } from '../write/extra-rule.js';

/** Fields that are the same in the requests of every pod. */
export const requestRules: readonly ExtraRule[] = [
  ...(['CreateContainer', 'ExecProcess'] as const).map((method) => ({
    method,
    name: 'side-channels',
    says: 'Output and input go through calls, not through ports of the host. Every pod.',
    expression: 'request.stdin_port == 0 && request.stdout_port == 0 && request.stderr_port == 0',
    message: 'no process of the workload has ports for its input and output',
  })),
  {
    method: 'CreateContainer',
    name: 'versions',
    says: 'The first process is named as its container or not at all; the specification is a version 1. Every pod.',
    expression:
      'request.exec_id in ["", request.container_id] && request.OCI.Version.matches("^1[.][0-9]+[.][0-9]+(-dev)?$")',
    message: 'no runtime sends such a request',
  },
  {
    method: 'CreateContainer',
    name: 'paths-of-proc',
    says: 'What is masked or read-only lies in /proc and /sys, and is what engines name. Every pod.',
    expression: pathsOfProc(),
    message: 'a path is masked or read-only that no engine names',
  },
  {
    method: 'CreateContainer',
    name: 'cgroups',
    says: 'The cgroup is the one that the kubelet names for this container. Every pod.',
    expression:
      'request.OCI.Linux.CgroupsPath == "" ||\n' +
      'request.OCI.Linux.CgroupsPath.matches("^/?([A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*[/:])*[A-Za-z0-9_.-]+$") &&\n' +
      '(request.OCI.Linux.CgroupsPath.endsWith("/" + request.container_id) ||\n' +
      '  request.OCI.Linux.CgroupsPath.endsWith(":" + request.container_id))',
    message: 'this is not the cgroup of this container',
  },
  {
    method: 'CreateContainer',
    name: 'namespaces-once',
    says: 'No namespace stands twice. Every pod.',
    expression:
      'request.OCI.Linux.Namespaces.all(n, request.OCI.Linux.Namespaces.exists_one(o, o.Type == n.Type))',
    message: 'a namespace stands twice',
  },
  {
    method: 'CreateContainer',
    name: 'resources',
    says: 'Of memory and processor time what the kubelet limits, and no other setting of cgroups. Every pod.',
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
    says: 'Limits, score and console of a process are as engines set them. Every pod.',
    expression:
      `${process}.Rlimits.all(l, l.Type == "RLIMIT_NOFILE" && l.Soft <= l.Hard && l.Soft >= 1024u &&\n` +
      `  ${process}.Rlimits.size() == 1) &&\n` +
      `${process}.OOMScoreAdj >= -998 && ${process}.OOMScoreAdj <= 1000 && (terminal || !has(${process}.ConsoleSize))`,
    message: 'no process of the workload has such limits, such a score, or a console',
  })),
  {
    method: 'CreateSandbox',
    name: 'resolvers',
    says: 'Lines of resolv.conf are lines of resolv.conf. Every pod.',
    expression:
      'request.sandbox_id != "" &&\n' +
      'request.dns.all(d, d.matches("^((nameserver|search|domain|options|sortlist)[ \\\\t][A-Za-z0-9 \\\\t.:%_/-]*|#[ -~]*)?$"))',
    message: 'this is no line of resolv.conf, or the sandbox has no id',
  },
  {
    method: 'CopyFile',
    name: 'file-modes',
    says: 'No file that is copied is setuid, and of the others only folders are setgid. Every pod.',
    expression:
      'request.file_mode % 4096u < 512u || file_type == "directory" && request.file_mode % 4096u < 2048u || file_type == "symlink"',
    message: 'a file of a volume is neither setuid nor setgid',
  },
  {
    method: 'UpdateEphemeralMounts',
    name: 'sizes',
    says: 'Nothing but the size of a volume in memory changes. emptyDir',
    expression:
      'request.storages.all(s, s.source == "tmpfs" && s.driver_options.size() == 0 && !has(s.fs_group) && !s.shared &&\n' +
      '  s.options.all(o, o == "remount" || o.matches("^(size|nr_inodes)=[0-9]+[kKmMgG%]?$")))',
    message: 'only the size of a volume in memory may change',
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

/** containerd's own profile; the guest has it only where its kernel has AppArmor. */
const engineProfile = 'cri-containerd.apparmor.d';

/** What only some pods have. */
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
      says: 'Whose size may change. emptyDir',
      expression: `request.storages.all(s, s.mount_point in ${celLiteral([...new Set(places)])})`,
      message: 'this is no volume in memory of the workload',
    },
    {
      method: 'CreateContainer',
      name: 'profiles',
      says: "AppArmor's profile is the engine's, or the one that the pod names. securityContext.appArmorProfile",
      expression: `request.OCI.Process.ApparmorProfile in ${celLiteral(['', engineProfile, ...new Set(profiles)])}`,
      message: 'no container of the workload has this profile',
    },
  ];
}
