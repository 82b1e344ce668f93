import type { OciProcess, OciResources, OciSpec } from './oci-spec.js';
import type { PassedStdio } from './passfd/passed-stdio.js';

/**
 * What the guest can be asked to do, as plain values. The agent's services make them from requests; nothing here
 * knows the wire. Identifiers, paths and specs are checked by `Guest`, not by its caller.
 */

/** Optional members may also be `undefined`. Members of the protocol that the guest has no use for are left out. */
export interface CreateSandbox {
  readonly sandboxId: string;
  readonly hostname: string;
  /** Lines of resolv.conf; empty: the sandbox has no resolver of its own. */
  readonly dns: readonly string[];
  readonly storages: readonly Storage[];
  /** Not empty: refused unless hooks are allowed (S10). */
  readonly guestHookPath?: string | undefined;
  readonly kernelModules?: readonly KernelModule[] | undefined;
}

export interface KernelModule {
  readonly name: string;
  readonly parameters: readonly string[];
}

export interface Storage {
  readonly driver: string;
  readonly driverOptions: readonly string[];
  readonly source: string;
  readonly fstype: string;
  readonly options: readonly string[];
  readonly mountPoint: string;
  readonly fsGroup?: FsGroup | undefined;
  /** Outlives its containers; removed with the sandbox. */
  readonly shared: boolean;
}

export interface FsGroup {
  readonly groupId: number;
  readonly changePolicy: 'always' | 'on-root-mismatch';
}

/** A disk that the host attached for a container. */
export interface AttachedDevice {
  /** Its address: a PCI path, `target:lun`, or a node. */
  readonly id: string;
  /** `blk`, `mmioblk`, `scsi` or `nvdimm`; the others of Kata's are refused by name. */
  readonly type: string;
  /** Its node in the guest, as the host expects it; may be empty. */
  readonly vmPath: string;
  /** The path of the device in the spec that it stands for. */
  readonly containerPath: string;
  readonly options: readonly string[];
}

/** A mount that a running container made, seen in the one that is made now. */
export interface SharedMount {
  readonly name: string;
  /** By its name in the pod, or its id. */
  readonly sourceContainer: string;
  readonly sourcePath: string;
  /** Of no meaning, as for Kata's agent: it is the container of the request. */
  readonly destinationContainer: string;
  readonly destinationPath: string;
}

export interface CreateContainer {
  readonly id: string;
  /** Empty or equal to `id`, by all runtimes known. Other values name the first process too. */
  readonly execId: string;
  readonly spec: OciSpec;
  readonly storages: readonly Storage[];
  readonly devices?: readonly AttachedDevice[] | undefined;
  readonly sharedMounts?: readonly SharedMount[] | undefined;
  /** Join the pid namespace of the sandbox's first container. */
  readonly sandboxPidns: boolean;
  /** Undefined: by calls alone. On failure its connections are the caller's to close. */
  readonly stdio?: PassedStdio | undefined;
}

/** A process of a container; `execId` empty or equal to `containerId`: its first process. */
export interface ProcessRef {
  readonly containerId: string;
  readonly execId: string;
}

export interface ExecProcess extends ProcessRef {
  readonly process: OciProcess;
  /** As for a container's first process. */
  readonly stdio?: PassedStdio | undefined;
}

export interface SignalProcess extends ProcessRef {
  readonly signal: number;
}

/** An output stream of a process. */
export interface StreamRef extends ProcessRef {
  readonly stream: StreamName;
}

export interface ReadStream extends StreamRef {
  /** At most so many bytes are returned. */
  readonly length: number;
}

export type StreamName = 'stdout' | 'stderr';

export interface WriteStdin extends ProcessRef {
  /** Empty: closes stdin, as runtime-rs does it. */
  readonly data: Uint8Array;
}

export interface ResizeTerminal extends ProcessRef {
  readonly rows: number;
  readonly columns: number;
}

export interface RemoveContainer {
  readonly id: string;
  /** 0: no limit. */
  readonly timeoutSeconds: number;
}

export interface UpdateContainer {
  readonly id: string;
  readonly resources: OciResources;
}

export interface CopyFile {
  readonly path: string;
  /** Size of the whole file in bytes; the file appears once so many have arrived. */
  readonly fileSize: number;
  /** `st_mode` of the target, type included (S_IFREG, S_IFDIR, S_IFLNK). */
  readonly fileMode: number;
  /** Permissions of parent directories that must be made. May carry Go's own type bits, which are masked. */
  readonly dirMode: number;
  readonly uid: number;
  readonly gid: number;
  readonly offset: number;
  /** The bytes at `offset`; for a symbolic link its target. */
  readonly data: Uint8Array;
}

/** What there is, for those who decide about calls. */
export interface SandboxFacts {
  /** Empty: there is no sandbox, or it was made without an id. */
  readonly id: string;
  /** The ids of its containers, in the order in which they were made. */
  readonly containers: readonly string[];
  /** The containers that there are, and of those that were the ones that are remembered. */
  readonly members: readonly MemberFacts[];
}

/** A container that there is or was. */
export interface MemberFacts {
  /** As in ContainerFacts; of a removed one those that say its name. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly state: ContainerFacts['state'] | 'removed';
  /** Of its first process; undefined: that has not ended. */
  readonly exitCode: number | undefined;
}

export interface ContainerFacts {
  /** `stopped`: its first process has ended. */
  readonly state: 'created' | 'running' | 'paused' | 'stopped';
  /** Of the spec it was made from: the host's word. */
  readonly annotations: Readonly<Record<string, string>>;
}

export interface GuestDetailsQuery {
  readonly memoryBlockSize: boolean;
  readonly memoryHotplugProbe: boolean;
}

export interface GuestDetails {
  /** Bytes; 0 when not asked for or when the kernel has no memory hotplug. */
  readonly memoryBlockSize: number;
  readonly memoryHotplugProbe: boolean;
  /** The agent is PID 1. */
  readonly initDaemon: boolean;
  readonly deviceHandlers: readonly string[];
  readonly storageHandlers: readonly string[];
  readonly supportsSeccomp: boolean;
  readonly extraFeatures: readonly string[];
}
