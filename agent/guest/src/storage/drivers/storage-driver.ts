import type { Directory, Syscalls } from '@kata-agent/linux';
import type { Storage } from '../../request/actions.js';
import type { UndoStack } from '../../undo-stack.js';
import type { DataHub } from '../../confidential/data-hub.js';
import type { DeviceWatch } from '../../device/device-watch.js';
import type { Disks } from '../../device/disks.js';
import type { Wanted } from '../../device/find-device.js';
import type { GuestAccess } from '../../guest-access.js';
import type { GuestLog } from '../../guest-log.js';
import type { GuestPaths } from '../../paths/guest-paths.js';
import type { NamedSource } from '../../source/open-source.js';
import type { SourceUse } from '../../source/place-owner.js';
import type { HostMedia } from '../../media/host-media.js';
import type { Capabilities } from '../../spec/security-labels.js';
import type { DiskPrograms } from '../../tool/disk-programs.js';

/** The owner of a storage: the whole sandbox, or one container with its bundle. */
export type StorageOwner =
  | { readonly kind: 'sandbox' }
  | {
      readonly kind: 'container';
      readonly id: string;
      readonly bundle: string;
      /** Ids of the sandbox's other containers, the first one first. */
      readonly others: readonly string[];
    };

/** Dependencies of all drivers. */
export interface StorageEnvironment {
  readonly syscalls: Syscalls;
  readonly media: HostMedia;
  readonly paths: GuestPaths;
  readonly access: GuestAccess;
  readonly capabilities: () => Promise<Pick<Capabilities, 'flaws'>>;
  readonly devices: DeviceWatch;
  readonly disks: Disks;
  readonly diskPrograms: DiskPrograms;
  /** Undefined: there is none. */
  readonly dataHub: DataHub | undefined;
  /** Whether the layers of a root are verified, and no request can name it. */
  readonly verifiedLayers: boolean;
  readonly log: GuestLog;
}

export interface StorageContext extends StorageEnvironment {
  readonly owner: StorageOwner;
  /** Kata's directory, open: all mount points are below it. */
  readonly base: Directory;
  /** The mount point as a path below `base`. */
  readonly place: string;
  /**
   * Opens a path of the request that belongs to no other container; the caller closes the descriptor. `named`: for
   * errors.
   */
  readonly open: (path: string, named: string, use?: SourceUse) => Promise<NamedSource>;
  /** Throws `refused` if a directory that would be created belongs to another container. `path`: clean. */
  readonly refuseOthers: (path: string) => void;
  /** Mounts another storage that this one needs, and releases it with this one. The agent chooses its mount point. */
  readonly need: (storage: Storage) => Promise<void>;
  /** Steps that release this storage. */
  readonly made: UndoStack;
}

/** A driver: one way of providing a storage at its mount point. */
export interface StorageDriver {
  /** The value of a request's `driver`. */
  readonly name: string;
  /**
   * Reports whether it holds a pod's data, as an emptyDir: a restarted container finds it again. It is released with
   * the sandbox, unless it is in a container's own bundle.
   */
  readonly ofPod: boolean;
  /**
   * The mount points that it may have (S31), below Kata's directory, as the runtimes use them. `*`: any one name; `CID`:
   * the container's own id; `POD`: the id of the pod's first container. Sources, of Kata 4.1: `mountPoint` and
   * `guestPath` in src/runtime/virtcontainers/{kata_agent,fs_share_linux,container}.go; `mount_point` in
   * src/runtime-rs/crates/resource/src/{rootfs,share_fs,volume}.
   */
  readonly mountPoints: readonly string[];
  /** Returns the devices that it waits for. Absent: none. */
  needs?(storage: Storage): readonly Wanted[];
  prepare(storage: Storage, context: StorageContext): void | Promise<void>;
  /** Resumes work of the agent on a storage that an earlier agent mounted. Absent: there is no such work. */
  resume?(storage: Storage, context: StorageContext): Promise<void>;
}
