import type {
  OciBlockIO,
  OciDeviceRule,
  OciHook,
  OciHooks,
  OciIdMapping,
  OciLinux,
  OciProcess,
  OciResources,
  OciSeccomp,
  OciSpec,
  OciThrottleDevice,
} from '@kata-agent/guest';
import type {
  Hook,
  Hooks,
  Linux,
  LinuxBlockIO,
  LinuxDeviceCgroup,
  LinuxIDMapping,
  LinuxResources,
  LinuxSeccomp,
  LinuxThrottleDevice,
  Process,
  Spec,
} from '@kata-agent/protocol/oci';

/**
 * Converts the wire's specification to the runtime-spec's JSON form. An empty string or an absent message means "not
 * set": proto3 has no other way to express that.
 */
export function ociSpec(spec: Spec): OciSpec {
  return {
    ociVersion: spec.Version === '' ? '1.0.2' : spec.Version,
    process: spec.Process && ociProcess(spec.Process),
    root: spec.Root && { path: spec.Root.Path, readonly: spec.Root.Readonly },
    hostname: spec.Hostname,
    mounts: spec.Mounts.map(({ destination, source, type, options }) => ({
      destination,
      source,
      type,
      options,
    })),
    hooks: spec.Hooks && ociHooks(spec.Hooks),
    annotations: spec.Annotations,
    linux: spec.Linux && ociLinux(spec.Linux),
  };
}

/**
 * Converts a process to the runtime-spec's JSON form. The OOM score is always set: the agent's own must not be
 * inherited.
 */
export function ociProcess(process: Process): OciProcess {
  const { User: user, Capabilities: sets } = process;
  return {
    terminal: process.Terminal,
    consoleSize: process.ConsoleSize && {
      height: process.ConsoleSize.Height,
      width: process.ConsoleSize.Width,
    },
    user: {
      uid: user?.UID ?? 0,
      gid: user?.GID ?? 0,
      additionalGids: user?.AdditionalGids ?? [],
      username: user?.Username,
    },
    args: process.Args,
    env: process.Env,
    cwd: process.Cwd === '' ? '/' : process.Cwd,
    capabilities: sets && {
      bounding: sets.Bounding,
      effective: sets.Effective,
      inheritable: sets.Inheritable,
      permitted: sets.Permitted,
      ambient: sets.Ambient,
    },
    rlimits: process.Rlimits.map(({ Type, Hard, Soft }) => ({ type: Type, hard: Hard, soft: Soft })),
    noNewPrivileges: process.NoNewPrivileges,
    apparmorProfile: process.ApparmorProfile,
    oomScoreAdj: Number(process.OOMScoreAdj),
    selinuxLabel: process.SelinuxLabel,
  };
}

function ociHooks(hooks: Hooks): OciHooks {
  return {
    prestart: hooks.Prestart.map(ociHook),
    createRuntime: hooks.CreateRuntime.map(ociHook),
    createContainer: hooks.CreateContainer.map(ociHook),
    startContainer: hooks.StartContainer.map(ociHook),
    poststart: hooks.Poststart.map(ociHook),
    poststop: hooks.Poststop.map(ociHook),
  };
}

function ociHook({ Path, Args, Env, Timeout }: Hook): OciHook {
  return { path: Path, args: Args, env: Env, timeout: Timeout === 0n ? undefined : Number(Timeout) };
}

/** Converts the Linux part of the specification to the runtime-spec's JSON form. */
function ociLinux(linux: Linux): OciLinux {
  return {
    uidMappings: linux.UIDMappings.map(ociIdMapping),
    gidMappings: linux.GIDMappings.map(ociIdMapping),
    sysctl: linux.Sysctl,
    resources: linux.Resources && ociResources(linux.Resources),
    cgroupsPath: linux.CgroupsPath,
    namespaces: linux.Namespaces.map(({ Type, Path }) => ({ type: Type, path: Path })),
    devices: linux.Devices.map((device) => ({
      path: device.Path,
      type: device.Type,
      major: Number(device.Major),
      minor: Number(device.Minor),
      fileMode: device.FileMode === 0 ? undefined : device.FileMode,
      uid: device.UID,
      gid: device.GID,
    })),
    seccomp: linux.Seccomp && ociSeccomp(linux.Seccomp),
    rootfsPropagation: linux.RootfsPropagation,
    maskedPaths: linux.MaskedPaths,
    readonlyPaths: linux.ReadonlyPaths,
    mountLabel: linux.MountLabel,
    intelRdt: linux.IntelRdt && { l3CacheSchema: linux.IntelRdt.L3CacheSchema },
  };
}

/** Converts limits to the runtime-spec's JSON form; UpdateContainer sends only these. */
export function ociResources(resources: LinuxResources): OciResources {
  const { Memory: memory, CPU: cpu, Pids: pids, Network: network } = resources;
  return {
    devices: resources.Devices.map(ociDeviceRule),
    memory: memory && {
      limit: memory.Limit,
      reservation: memory.Reservation,
      swap: memory.Swap,
      kernel: memory.Kernel,
      kernelTCP: memory.KernelTCP,
      swappiness: memory.Swappiness,
      disableOOMKiller: memory.DisableOOMKiller,
    },
    cpu: cpu && {
      shares: cpu.Shares,
      quota: cpu.Quota,
      period: cpu.Period,
      realtimeRuntime: cpu.RealtimeRuntime,
      realtimePeriod: cpu.RealtimePeriod,
      cpus: cpu.Cpus,
      mems: cpu.Mems,
    },
    pids: pids && { limit: pids.Limit },
    blockIO: resources.BlockIO && ociBlockIo(resources.BlockIO),
    hugepageLimits: resources.HugepageLimits.map(({ Pagesize, Limit }) => ({
      pageSize: Pagesize,
      limit: Limit,
    })),
    network: network && {
      classID: network.ClassID,
      priorities: network.Priorities.map(({ Name, Priority }) => ({ name: Name, priority: Priority })),
    },
  };
}

/** There is no device 0:0: a rule for it has no numbers and matches all devices. A single 0 is ambiguous. */
function ociDeviceRule({ Allow, Type, Major, Minor, Access }: LinuxDeviceCgroup): OciDeviceRule {
  const numbers = Major === 0n && Minor === 0n ? {} : { major: Number(Major), minor: Number(Minor) };
  return {
    allow: Allow,
    type: Type === '' ? undefined : Type,
    ...numbers,
    access: Access === '' ? undefined : Access,
  };
}

function ociIdMapping({ HostID, ContainerID, Size }: LinuxIDMapping): OciIdMapping {
  return { hostID: HostID, containerID: ContainerID, size: Size };
}

function ociBlockIo(io: LinuxBlockIO): OciBlockIO {
  return {
    weight: io.Weight,
    leafWeight: io.LeafWeight,
    weightDevice: io.WeightDevice.map((rule) => ({
      major: Number(rule.Major),
      minor: Number(rule.Minor),
      weight: rule.Weight,
      leafWeight: rule.LeafWeight,
    })),
    throttleReadBpsDevice: io.ThrottleReadBpsDevice.map(ociThrottle),
    throttleWriteBpsDevice: io.ThrottleWriteBpsDevice.map(ociThrottle),
    throttleReadIOPSDevice: io.ThrottleReadIOPSDevice.map(ociThrottle),
    throttleWriteIOPSDevice: io.ThrottleWriteIOPSDevice.map(ociThrottle),
  };
}

function ociThrottle({ Major, Minor, Rate }: LinuxThrottleDevice): OciThrottleDevice {
  return { major: Number(Major), minor: Number(Minor), rate: Rate };
}

function ociSeccomp(seccomp: LinuxSeccomp): OciSeccomp {
  return {
    defaultAction: seccomp.DefaultAction,
    architectures: seccomp.Architectures,
    flags: seccomp.Flags,
    syscalls: seccomp.Syscalls.map((call) => ({
      names: call.Names,
      action: call.Action,
      // Rust clients send 0 if the profile has no errno; a call that fails with errno 0 would look successful.
      errnoRet: call.ErrnoRet.value === 0 ? undefined : call.ErrnoRet.value,
      args: call.Args.map(({ Index, Value, ValueTwo, Op }) => ({
        index: Number(Index),
        value: Value,
        valueTwo: ValueTwo,
        op: Op,
      })),
    })),
  };
}
