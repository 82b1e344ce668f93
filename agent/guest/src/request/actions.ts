import type { Duplex } from 'node:stream';
import type { ImageProgram } from '@kata-agent/catalogue';
import type { OciCapabilities, OciProcess, OciResources, OciRlimit, OciSpec } from './oci-spec.js';

/**
 * The requests to the guest as plain values. The agent's services make them from protocol messages; nothing here
 * depends on the wire format. `Guest` checks identifiers, paths and specs, not its caller.
 */

/** Optional members may also be `undefined`. Members of the protocol that the guest does not use are left out. */
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
  /** It outlives its containers, and is unmounted with the sandbox. */
  readonly shared: boolean;
  /** The storages of the request that are one root together: the driver is `erofs.multi-layer`. */
  readonly layers?: readonly Storage[] | undefined;
}

export interface FsGroup {
  readonly groupId: number;
  readonly changePolicy: 'always' | 'on-root-mismatch';
}

/** A disk or PCI device that the host attached for a container. */
export interface AttachedDevice {
  /** Its address: a PCI path, `target:lun`, or a node. */
  readonly id: string;
  /** `blk`, `mmioblk`, `scsi`, `nvdimm`, `vfio-pci` or `vfio-pci-gk`; Kata's other types are refused. */
  readonly type: string;
  /** Its node in the guest, as the host expects it; may be empty. */
  readonly vmPath: string;
  /** The path of the device in the spec that it provides. */
  readonly containerPath: string;
  /** Of PCI devices: `HOST_ADDRESS=GUEST_PATH`. */
  readonly options: readonly string[];
}

/** A mount of a running container, shared with the container that is being created. */
export interface SharedMount {
  readonly name: string;
  /** By its name in the pod, or its id. */
  readonly sourceContainer: string;
  readonly sourcePath: string;
  /** Ignored, as by Kata's agent: it is the container of the request. */
  readonly destinationContainer: string;
  readonly destinationPath: string;
}

export interface CreateContainer {
  readonly id: string;
  /** Empty or equal to `id` in all known runtimes. Other values name the first process too. */
  readonly execId: string;
  readonly spec: OciSpec;
  readonly storages: readonly Storage[];
  readonly devices?: readonly AttachedDevice[] | undefined;
  readonly sharedMounts?: readonly SharedMount[] | undefined;
  /** Join the pid namespace of the sandbox's first container. */
  readonly sandboxPidns: boolean;
  /** Connections for stdio; undefined: stdio uses calls only. If the create fails, the caller closes them. */
  readonly stdio?: PassedStdio | undefined;
  /**
   * Called if the guest gets the root itself, before anything uses it: with the image that was pulled, or undefined for the pause
   * container of the guest image. An error ends the create. Undefined: no such root is allowed.
   *
   * `program` reads what the root has of the program that the request starts.
   */
  readonly authorizeRoot?:
    | ((image: PulledImage | undefined, program: () => ImageProgram | undefined) => void)
    | undefined;
  /** Called with the name of a sealed secret before the data hub is asked for its plain text. */
  readonly noteSecret?: ((name: string) => void) | undefined;
}

/** A process of a container; an `execId` that is empty or equal to `containerId` names its first process. */
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
  /** Maximum number of bytes to return. */
  readonly length: number;
}

export type StreamName = 'stdout' | 'stderr';

export interface WriteStdin extends ProcessRef {
  /** Empty: closes stdin, as runtime-rs requests it. */
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
  /** Size of the whole file in bytes; the file appears once that many have arrived. */
  readonly fileSize: number;
  /** `st_mode` of the target, type included (S_IFREG, S_IFDIR, S_IFLNK). */
  readonly fileMode: number;
  /** Mode of parent directories that are created. Go's own type bits are masked. */
  readonly dirMode: number;
  readonly uid: number;
  readonly gid: number;
  readonly offset: number;
  /** The bytes at `offset`; for a symbolic link its target. */
  readonly data: Uint8Array;
}

/** The state of the guest, for authorization. */
export interface SandboxStatus {
  /** Empty: there is no sandbox, or it was created without an id. */
  readonly id: string;
  /** Ids of its containers, in order of creation. */
  readonly containers: readonly string[];
  /** The existing containers, and the removed ones that are remembered. */
  readonly members: readonly MemberStatus[];
}

/** A container that exists or has existed. */
export interface MemberStatus {
  /** Its name in the pod, from the host; empty: the pause container, or unnamed. */
  readonly name: string;
  readonly state: ContainerStatus['state'] | 'removed';
  /** Exit status of its first process; undefined: it has not ended, or a call has signalled it before. */
  readonly exitCode: number | undefined;
  /** Its mounts from Kata's directory; of a removed container those of storages that the sandbox keeps. */
  readonly mounts: readonly MountStatus[];
}

/** A mount of a container, as its request had it. */
export interface MountStatus {
  readonly destination: string;
  readonly source: string;
}

export interface ContainerStatus {
  /** `stopped`: its first process has ended. */
  readonly state: 'created' | 'running' | 'paused' | 'stopped';
  /** From the spec; set by the host. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly mounts: readonly MountStatus[];
}

/** A container for those who may list them. */
export interface ListedContainer {
  readonly id: string;
  /** Its name in the pod, from its annotations; empty: it has none. */
  readonly name: string;
  readonly state: ContainerStatus['state'];
  /** Of its first process; undefined: it has not ended. */
  readonly exitCode: number | undefined;
  /** The processes of ExecProcess, in the order in which they were started. */
  readonly execs: readonly { readonly id: string; readonly exitCode: number | undefined }[];
}

export interface GuestDetailsQuery {
  readonly memoryBlockSize: boolean;
  readonly memoryHotplugProbe: boolean;
}

export interface GuestDetails {
  /** Bytes; 0 if not requested or if the kernel has no memory hotplug. */
  readonly memoryBlockSize: number;
  readonly memoryHotplugProbe: boolean;
  /** The agent is PID 1. */
  readonly initDaemon: boolean;
  readonly deviceHandlers: readonly string[];
  readonly storageHandlers: readonly string[];
  readonly supportsSeccomp: boolean;
  readonly extraFeatures: readonly string[];
}

/** What an exec has if it states nothing else: that of its container's first process. */
export interface ExecDefaults {
  readonly capabilities: OciCapabilities;
  readonly rlimits: readonly OciRlimit[];
  /** Whether it cannot gain privileges; no exec can be without it. */
  readonly noNewPrivileges: boolean;
}

/**
 * A process's standard streams over vsock connections instead of calls (Kata's `passfd_io`). An absent one uses calls.
 */
export interface PassedStdio {
  readonly stdin?: Duplex | undefined;
  readonly stdout?: Duplex | undefined;
  readonly stderr?: Duplex | undefined;
  /** Reports whether the host may still have them; called when the rights to read have changed. */
  readonly admitted: () => boolean;
}

/** Closes connections for which no process was started, or which the host may not have any more. */
export function closePassed({ stdin, stdout, stderr }: PassedStdio): void {
  for (const connection of [stdin, stdout, stderr]) connection?.destroy();
}

/** What an image declares of its process (OCI image configuration, `config`). */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: readonly string[];
  /** As in the image: `user`, `uid:gid`; may be empty. */
  readonly user: string;
  /** May be empty. */
  readonly workingDir: string;
  readonly volumes: readonly string[];
  readonly stopSignal: string;
}

/** An image that the guest pulled. What the puller did not verify is undefined. */
export interface PulledImage {
  /** As the request names it. */
  readonly reference: string;
  /** Digest of what the reference names, an index or a manifest: `sha256:` and 64 hex digits. */
  readonly digest: string | undefined;
  /** Digest of this platform's manifest. */
  readonly manifestDigest: string | undefined;
  readonly config: ImageConfig | undefined;
  /** The signatures that the puller verified, for records: key, format, what is signed. */
  readonly signatures?: readonly string[];
}
