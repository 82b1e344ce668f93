import { create } from '@bufbuild/protobuf';
import {
  type Linux,
  type LinuxBlockIO,
  type LinuxNamespace,
  type LinuxResources,
  LinuxResourcesSchema,
  LinuxSchema,
  type LinuxSeccomp,
  LinuxSeccompSchema,
  type LinuxThrottleDevice,
} from '@kata-agent/protocol/oci';
import type { Device } from '@kata-agent/protocol/agent';
import { readDeviceRules, readNodes } from './device-forms.js';
import type { FormContext } from './forwarded-sandbox.js';
import {
  checkCleanPath,
  checkDistinct,
  checkRange,
  hasControl,
  malformed,
  quoted,
  refused,
} from './values.js';
import { checkLabel } from './process-form.js';

/** Kata's agent takes any other name for the first of an enumeration (Kata: src/libs/protocols/src/trans.rs:911). */
const namespaces: ReadonlySet<string> = new Set('pid network mount ipc uts user cgroup time'.split(' '));
const quietPropagation: ReadonlySet<string> = new Set(['', 'private', 'rprivate', 'slave', 'rslave']);
const loudPropagation: ReadonlySet<string> = new Set(['shared', 'rshared', 'unbindable', 'runbindable']);

/** The largest number of an i64. */
const max = 2n ** 63n - 1n;

/** The container that the section is of. */
export interface LinuxOwner {
  readonly devices: readonly Device[];
  readonly sandboxPidns: boolean;
}

/** @throws NotAlike */
export function readLinux(linux: Linux, { devices, sandboxPidns }: LinuxOwner, context: FormContext): Linux {
  const at = 'OCI.Linux';
  const { Namespaces, Seccomp, Resources, RootfsPropagation, CgroupsPath, IntelRdt } = linux;
  const isLoud = !context.isRefusing && loudPropagation.has(RootfsPropagation);
  if (!quietPropagation.has(RootfsPropagation) && !isLoud)
    throw refused(`${at}.RootfsPropagation`, `${quoted(RootfsPropagation)} is not private or slave`);
  if (IntelRdt !== undefined) throw refused(`${at}.IntelRdt`, 'no guest has it', 'leave it out');
  cgroupIdentity(CgroupsPath);
  checkLabel(`${at}.MountLabel`, linux.MountLabel);
  for (const path of linux.MaskedPaths) checkCleanPath(`${at}.MaskedPaths`, path);
  for (const path of linux.ReadonlyPaths) checkCleanPath(`${at}.ReadonlyPaths`, path);
  const mappings = (all: Linux['UIDMappings']): { HostID: number; ContainerID: number; Size: number }[] =>
    all.map(({ HostID, ContainerID, Size }) => ({ HostID, ContainerID, Size }));
  return create(LinuxSchema, {
    UIDMappings: mappings(linux.UIDMappings),
    GIDMappings: mappings(linux.GIDMappings),
    Sysctl: readSysctls(linux.Sysctl, context),
    ...(Resources === undefined
      ? {}
      : { Resources: readResources(Resources, `${at}.Resources`, context, numbersOf(linux, devices)) }),
    CgroupsPath,
    Namespaces: readNamespaces(Namespaces, sandboxPidns, context),
    Devices: [...readNodes(linux.Devices, devices, context)],
    ...(Seccomp === undefined ? {} : { Seccomp: readSeccomp(Seccomp) }),
    RootfsPropagation,
    MaskedPaths: [...linux.MaskedPaths],
    ReadonlyPaths: [...linux.ReadonlyPaths],
    MountLabel: linux.MountLabel,
  });
}

/** Numbers of nodes of attached devices: Kata's agent replaces them in rules too (src/agent/src/device/mod.rs:772-796). */
function numbersOf({ Devices }: Linux, devices: readonly Device[]): ReadonlySet<string> {
  const attached = new Set(devices.map(({ containerPath }) => containerPath));
  return new Set(
    Devices.filter(({ Path }) => attached.has(Path)).map(
      ({ Type, Major, Minor }) => `${Type} ${Major}:${Minor}`,
    ),
  );
}

/** Cgroups of the guest's own programs: a signal to all processes of a container would end them. */
const ofGuest = /^(?:init\.scope|system\.slice|user\.slice)$/;

/** A unit of systemd that is not a scope of a container (Kata: rustjail/src/cgroups/systemd/cgroups_path.rs:73-81). */
const otherUnit = /\.(?:slice|service|scope|mount|socket|target|timer)$/;

/**
 * The form of the host: a path below the root of cgroups, or that of systemd, `slice:prefix:name`. Returns what tells it from the
 * cgroups of other containers, since the inner agent signals all processes in it.
 */
export function cgroupIdentity(path: string): string | undefined {
  if (path === '') return undefined;
  const at = 'OCI.Linux.CgroupsPath';
  const names = path.split(/[/:]/).filter((name, index) => name !== '' || index > 0);
  const isPath = /^[A-Za-z0-9_.@:/\\-]{1,1024}$/.test(path) && !names.includes('..') && !names.includes('.');
  if (!isPath || names.every((name) => name === ''))
    throw malformed(at, `${quoted(path)} does not name a cgroup below the root`);
  const [slice = '', prefix = '', name = ''] = path.split(':');
  const isScope = /^[\w.-]*:[\w.-]*:[\w.-]*$/.test(path);
  const isWrongScope =
    isScope &&
    ((slice !== '' && !slice.endsWith('.slice')) ||
      name === '' ||
      otherUnit.test(name) ||
      otherUnit.test(prefix));
  if (isWrongScope) throw malformed(at, `${quoted(path)} is not slice:prefix:name of a scope`);
  if (!isScope && (ofGuest.test(names[0] ?? '') || names.some((one) => /\.(?:service|scope)$/.test(one))))
    throw refused(
      at,
      `${quoted(path)} is a cgroup of the guest's own programs`,
      'use a cgroup of the container',
    );
  return names.filter((one) => one !== '').join('/');
}

function readNamespaces(
  all: readonly LinuxNamespace[],
  sandboxPidns: boolean,
  { access, isRefusing }: FormContext,
): { Type: string; Path: string }[] {
  const at = 'OCI.Linux.Namespaces';
  checkDistinct(
    at,
    all.map(({ Type }) => Type),
  );
  for (const { Type, Path } of all) {
    if (!namespaces.has(Type)) throw malformed(at, `${quoted(Type)} is not the type of a namespace`);
    if (Type === 'pid' && sandboxPidns)
      throw refused(
        at,
        'with sandbox_pidns, the inner agent would give the container a pid namespace of its own',
        'leave it out',
      );
    if (Path === '') continue;
    checkCleanPath(at, Path);
    // The inner agent joins the guest's namespace at this path; those of runtimes are the host's.
    if (Type !== 'network' || (isRefusing && !access.networkNamespaces.includes(Path)))
      throw refused(at, `${quoted(Path)} of type ${Type} is a namespace of the guest`, 'leave the path out');
  }
  return all.map(({ Type, Path }) => ({ Type, Path }));
}

/** Namespaced sysctls, and those of the network that Kubernetes calls safe (kubelet, pkg/kubelet/sysctl/safe_sysctls.go). */
const safe =
  /^(?:kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\.[a-z_]{1,40}|net\.ipv4\.(?:ip_local_port_range|ip_local_reserved_ports|ip_unprivileged_port_start|ping_group_range|tcp_fin_timeout|tcp_keepalive_intvl|tcp_keepalive_probes|tcp_keepalive_time|tcp_rmem|tcp_syncookies|tcp_wmem))$/;
const numbers = /^(?:-?\d{1,20}(?:[ \t,-]+\d{1,20})*)?$/;

/** Kata's agent writes any sysctl that begins with `net.` (rustjail/src/validator.rs:214). */
function readSysctls(
  sysctls: Readonly<Record<string, string>>,
  { isRefusing }: FormContext,
): Record<string, string> {
  for (const [name, value] of Object.entries(sysctls)) {
    const at = `OCI.Linux.Sysctl[${quoted(name)}]`;
    if (!/^[a-z0-9_]+(?:\.[A-Za-z0-9_-]+)+$/.test(name)) throw malformed(at, 'it is not a name with dots');
    if (
      name === 'kernel.domainname' ? /^[A-Za-z0-9._-]{1,64}$|^\(none\)$/.test(value) : numbers.test(value)
    ) {
      if (!isRefusing || name === 'kernel.domainname' || safe.test(name)) continue;
      throw refused(at, 'it is not one of the container, or safe', 'set it in the guest image');
    }
    if (isRefusing || hasControl(value)) throw malformed(at, `it does not take ${quoted(value)}`);
  }
  return { ...sysctls };
}

/** Reads limits; Kata's agent converts them to smaller types (trans.rs:551-775). @throws NotAlike */
export function readResources(
  resources: LinuxResources,
  at: string,
  context: FormContext,
  attached: ReadonlySet<string> = new Set(),
): LinuxResources {
  const { Memory, CPU, Pids, BlockIO, HugepageLimits, Network, Devices } = resources;
  if (Network !== undefined)
    throw refused(`${at}.Network`, 'containers have no network class here', 'leave it out');
  for (const [name, value] of Object.entries({ ...numbersIn(Memory), ...numbersIn(CPU), ...numbersIn(Pids) }))
    checkRange(`${at}.${name}`, value, -1, max);
  checkRange(`${at}.Memory.Swappiness`, Memory?.Swappiness ?? 0n, 0, 200);
  for (const [name, text] of Object.entries({ Cpus: CPU?.Cpus ?? '', Mems: CPU?.Mems ?? '' }))
    if (!/^[0-9,-]{0,4096}$/.test(text))
      throw malformed(`${at}.CPU.${name}`, `${quoted(text)} is not a list of numbers`);
  for (const { Pagesize, Limit } of HugepageLimits) {
    if (!/^[1-9]\d{0,6}[KMG]B$/.test(Pagesize))
      throw malformed(`${at}.HugepageLimits`, `${quoted(Pagesize)} is not a size`);
    checkRange(`${at}.HugepageLimits`, Limit, 0, max);
  }
  return create(LinuxResourcesSchema, {
    Devices: [...readDeviceRules(Devices, `${at}.Devices`, context, attached)],
    ...(Memory === undefined
      ? {}
      : {
          Memory: {
            Limit: Memory.Limit,
            Reservation: Memory.Reservation,
            Swap: Memory.Swap,
            Kernel: Memory.Kernel,
            KernelTCP: Memory.KernelTCP,
            Swappiness: Memory.Swappiness,
            DisableOOMKiller: Memory.DisableOOMKiller,
          },
        }),
    ...(CPU === undefined
      ? {}
      : {
          CPU: {
            Shares: CPU.Shares,
            Quota: CPU.Quota,
            Period: CPU.Period,
            RealtimeRuntime: CPU.RealtimeRuntime,
            RealtimePeriod: CPU.RealtimePeriod,
            Cpus: CPU.Cpus,
            Mems: CPU.Mems,
          },
        }),
    ...(Pids === undefined ? {} : { Pids: { Limit: Pids.Limit } }),
    ...(BlockIO === undefined ? {} : { BlockIO: readBlockIO(BlockIO, `${at}.BlockIO`) }),
    HugepageLimits: HugepageLimits.map(({ Pagesize, Limit }) => ({ Pagesize, Limit })),
  });
}

function numbersIn(message: object | undefined): Readonly<Record<string, bigint>> {
  const entries = Object.entries(message ?? {}) as [string, unknown][];
  return Object.fromEntries(
    entries.filter((entry): entry is [string, bigint] => typeof entry[1] === 'bigint'),
  );
}

/** Weights are a u16 there, and each device would get that of all (rustjail/src/cgroups/fs/mod.rs:400-414). */
function readBlockIO(blockIO: LinuxBlockIO, at: string): Omit<LinuxBlockIO, '$typeName' | '$unknown'> {
  checkRange(`${at}.Weight`, blockIO.Weight, 0, 1_000);
  checkRange(`${at}.LeafWeight`, blockIO.LeafWeight, 0, 1_000);
  if (blockIO.WeightDevice.length > 0)
    throw refused(
      `${at}.WeightDevice`,
      'the inner agent gives each device the weight of all',
      'set Weight alone',
    );
  const throttles = (all: readonly LinuxThrottleDevice[]): LinuxThrottleDevice[] => {
    for (const { Major, Minor } of all) {
      checkRange(at, Major, 0, 2 ** 12 - 1);
      checkRange(at, Minor, 0, 2 ** 20 - 1);
    }
    return all.map(({ Major, Minor, Rate, $typeName }) => ({ $typeName, Major, Minor, Rate }));
  };
  return {
    Weight: blockIO.Weight,
    LeafWeight: blockIO.LeafWeight,
    WeightDevice: [],
    ThrottleReadBpsDevice: throttles(blockIO.ThrottleReadBpsDevice),
    ThrottleWriteBpsDevice: throttles(blockIO.ThrottleWriteBpsDevice),
    ThrottleReadIOPSDevice: throttles(blockIO.ThrottleReadIOPSDevice),
    ThrottleWriteIOPSDevice: throttles(blockIO.ThrottleWriteIOPSDevice),
  };
}

/** Kata's agent panics of other names (trans.rs:806-900). */
const actions = /^SCMP_ACT_(?:KILL|KILL_PROCESS|KILL_THREAD|TRAP|ERRNO|TRACE|ALLOW|LOG)$/;
const operators = /^SCMP_CMP_(?:NE|LT|LE|EQ|GE|GT|MASKED_EQ)$/;
const seccompFlags = /^SECCOMP_FILTER_FLAG_(?:TSYNC|LOG|SPEC_ALLOW)$/;
const architectures =
  /^SCMP_ARCH_(?:NATIVE|X86|X86_64|X32|ARM|AARCH64|MIPS|MIPS64|MIPS64N32|MIPSEL|MIPSEL64|MIPSEL64N32|PPC|PPC64|PPC64LE|S(?:390|390X)|RISCV64)$/;
const maxErrno = 4_095;

function readSeccomp(profile: LinuxSeccomp): LinuxSeccomp {
  const at = 'OCI.Linux.Seccomp';
  const { DefaultAction, Architectures, Flags, Syscalls } = profile;
  for (const action of [DefaultAction, ...Syscalls.map(({ Action }) => Action)])
    if (!actions.test(action)) throw malformed(at, `${quoted(action)} is not an action`);
  for (const [pattern, names] of [
    [architectures, Architectures],
    [seccompFlags, Flags],
  ] as const)
    for (const name of names) if (!pattern.test(name)) throw malformed(at, `${quoted(name)} is not known`);
  return create(LinuxSeccompSchema, {
    DefaultAction,
    Architectures: [...Architectures],
    Flags: [...Flags],
    Syscalls: Syscalls.map(({ Names, Action, ErrnoRet, Args }) => {
      const errno = ErrnoRet.case === undefined ? undefined : ErrnoRet.value;
      // Kata's agent takes a missing number for 0: the call would succeed without being made (trans.rs:848).
      const isFailing = /_(?:ERRNO|TRACE)$/.test(Action);
      if ((errno ?? 0) > maxErrno || (isFailing && (errno ?? 0) < 1))
        throw malformed(
          at,
          `${quoted(Names[0] ?? '')} fails with error ${errno ?? '(none)'}, which is not from 1 to ${maxErrno}`,
          'set errnoRet',
        );
      return {
        Names: [...Names],
        Action,
        ErrnoRet: errno === undefined ? { case: undefined } : { case: 'errnoret' as const, value: errno },
        Args: Args.map(({ Index, Value, ValueTwo, Op }) => {
          if (!operators.test(Op)) throw malformed(at, `${quoted(Op)} is not an operator`);
          checkRange(at, Index, 0, 5);
          return { Index, Value, ValueTwo, Op };
        }),
      };
    }),
  });
}
