/**
 * The OCI runtime specification's JSON form (lowerCamelCase, as in a bundle's `config.json`), Linux only.
 * https://github.com/opencontainers/runtime-spec/blob/main/config.md
 *
 * Every optional member may also be `undefined`, which is the same as being absent: the encoder leaves it out.
 * 64-bit members take a `bigint` as well, since 2^64-1 ("no limit" of an rlimit) does not survive a JavaScript
 * number.
 */
export type Integer = number | bigint;

export interface OciSpec {
  readonly ociVersion: string;
  readonly process?: OciProcess | undefined;
  readonly root?: OciRoot | undefined;
  readonly hostname?: string | undefined;
  readonly mounts?: readonly OciMount[] | undefined;
  readonly hooks?: OciHooks | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly linux?: OciLinux | undefined;
}

export interface OciProcess {
  readonly terminal?: boolean | undefined;
  readonly consoleSize?: { readonly height: number; readonly width: number } | undefined;
  readonly user: OciUser;
  readonly args: readonly string[];
  readonly env?: readonly string[] | undefined;
  readonly cwd: string;
  readonly capabilities?: OciCapabilities | undefined;
  readonly rlimits?: readonly OciRlimit[] | undefined;
  readonly noNewPrivileges?: boolean | undefined;
  readonly apparmorProfile?: string | undefined;
  readonly oomScoreAdj?: number | undefined;
  readonly selinuxLabel?: string | undefined;
}

export interface OciUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids?: readonly number[] | undefined;
  readonly username?: string | undefined;
}

export interface OciCapabilities {
  readonly bounding?: readonly string[] | undefined;
  readonly effective?: readonly string[] | undefined;
  readonly inheritable?: readonly string[] | undefined;
  readonly permitted?: readonly string[] | undefined;
  readonly ambient?: readonly string[] | undefined;
}

export interface OciRlimit {
  readonly type: string;
  readonly hard: Integer;
  readonly soft: Integer;
}

export interface OciRoot {
  readonly path: string;
  readonly readonly?: boolean | undefined;
}

export interface OciMount {
  readonly destination: string;
  readonly source?: string | undefined;
  readonly type?: string | undefined;
  readonly options?: readonly string[] | undefined;
}

export interface OciHook {
  readonly path: string;
  readonly args?: readonly string[] | undefined;
  readonly env?: readonly string[] | undefined;
  readonly timeout?: number | undefined;
}

export interface OciHooks {
  readonly prestart?: readonly OciHook[] | undefined;
  readonly createRuntime?: readonly OciHook[] | undefined;
  readonly createContainer?: readonly OciHook[] | undefined;
  readonly startContainer?: readonly OciHook[] | undefined;
  readonly poststart?: readonly OciHook[] | undefined;
  readonly poststop?: readonly OciHook[] | undefined;
}

export interface OciLinux {
  readonly uidMappings?: readonly OciIdMapping[] | undefined;
  readonly gidMappings?: readonly OciIdMapping[] | undefined;
  readonly sysctl?: Readonly<Record<string, string>> | undefined;
  readonly resources?: OciResources | undefined;
  readonly cgroupsPath?: string | undefined;
  readonly namespaces?: readonly OciNamespace[] | undefined;
  readonly devices?: readonly OciDevice[] | undefined;
  readonly seccomp?: OciSeccomp | undefined;
  readonly rootfsPropagation?: string | undefined;
  readonly maskedPaths?: readonly string[] | undefined;
  readonly readonlyPaths?: readonly string[] | undefined;
  readonly mountLabel?: string | undefined;
  readonly intelRdt?: { readonly l3CacheSchema?: string | undefined } | undefined;
}

export interface OciIdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** `type`: pid, network, mount, ipc, uts, user, cgroup or time. `path` absent or empty: a new namespace. */
export interface OciNamespace {
  readonly type: string;
  readonly path?: string | undefined;
}

/** `type`: c, b, u or p. */
export interface OciDevice {
  readonly path: string;
  readonly type: string;
  readonly major: number;
  readonly minor: number;
  readonly fileMode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** In `memory` and `cpu` a member of 0 counts as not set, as in the protocol. */
export interface OciResources {
  readonly devices?: readonly OciDeviceRule[] | undefined;
  readonly memory?: OciMemory | undefined;
  readonly cpu?: OciCpu | undefined;
  readonly pids?: { readonly limit: Integer } | undefined;
  readonly blockIO?: OciBlockIO | undefined;
  readonly hugepageLimits?: readonly OciHugepageLimit[] | undefined;
  readonly network?: OciNetworkResources | undefined;
}

/** `major` and `minor` absent or -1: all. `type` absent: all. */
export interface OciDeviceRule {
  readonly allow: boolean;
  readonly type?: string | undefined;
  readonly major?: number | undefined;
  readonly minor?: number | undefined;
  readonly access?: string | undefined;
}

/** Bytes; -1: no limit. */
export interface OciMemory {
  readonly limit?: Integer | undefined;
  readonly reservation?: Integer | undefined;
  readonly swap?: Integer | undefined;
  readonly kernel?: Integer | undefined;
  readonly kernelTCP?: Integer | undefined;
  readonly swappiness?: Integer | undefined;
  readonly disableOOMKiller?: boolean | undefined;
}

/** Quotas and periods in microseconds. */
export interface OciCpu {
  readonly shares?: Integer | undefined;
  readonly quota?: Integer | undefined;
  readonly period?: Integer | undefined;
  readonly realtimeRuntime?: Integer | undefined;
  readonly realtimePeriod?: Integer | undefined;
  readonly cpus?: string | undefined;
  readonly mems?: string | undefined;
}

export interface OciBlockIO {
  readonly weight?: number | undefined;
  readonly leafWeight?: number | undefined;
  readonly weightDevice?: readonly OciWeightDevice[] | undefined;
  readonly throttleReadBpsDevice?: readonly OciThrottleDevice[] | undefined;
  readonly throttleWriteBpsDevice?: readonly OciThrottleDevice[] | undefined;
  readonly throttleReadIOPSDevice?: readonly OciThrottleDevice[] | undefined;
  readonly throttleWriteIOPSDevice?: readonly OciThrottleDevice[] | undefined;
}

export interface OciWeightDevice {
  readonly major: number;
  readonly minor: number;
  readonly weight?: number | undefined;
  readonly leafWeight?: number | undefined;
}

export interface OciThrottleDevice {
  readonly major: number;
  readonly minor: number;
  readonly rate: Integer;
}

export interface OciHugepageLimit {
  readonly pageSize: string;
  readonly limit: Integer;
}

export interface OciNetworkResources {
  readonly classID?: number | undefined;
  readonly priorities?: readonly { readonly name: string; readonly priority: number }[] | undefined;
}

export interface OciSeccomp {
  readonly defaultAction: string;
  readonly architectures?: readonly string[] | undefined;
  readonly flags?: readonly string[] | undefined;
  readonly syscalls?: readonly OciSeccompRule[] | undefined;
}

export interface OciSeccompRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number | undefined;
  readonly args?: readonly OciSeccompArgument[] | undefined;
}

export interface OciSeccompArgument {
  readonly index: number;
  readonly value: Integer;
  readonly valueTwo?: Integer | undefined;
  readonly op: string;
}
