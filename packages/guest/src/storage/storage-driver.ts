import type { Directory, Syscalls } from '@kata-agent/linux';
import type { Storage } from '../actions.js';
import type { UndoStack } from '../container/undo-stack.js';
import type { DeviceWatch } from '../device/device-watch.js';
import type { Disks } from '../device/disks.js';
import type { Wanted } from '../device/find-device.js';
import type { GuestAccess } from '../guest-access.js';
import type { GuestLog, GuestPaths } from '../guest-options.js';
import type { OpenSource } from '../source/open-source.js';
import type { SourceUse } from '../source/other-containers.js';
import type { Tools } from '../tool/tools.js';

/** For whom a storage is prepared: the whole sandbox, or one container with its bundle. */
export type StorageOwner =
  | { readonly kind: 'sandbox' }
  | {
      readonly kind: 'container';
      readonly id: string;
      readonly bundle: string;
      /** The sandbox's other containers, the first before the others. */
      readonly others: readonly string[];
    };

/** What all storages are made with. */
export interface StorageEnvironment {
  readonly syscalls: Syscalls;
  readonly paths: GuestPaths;
  readonly access: GuestAccess;
  readonly devices: DeviceWatch;
  readonly disks: Disks;
  readonly tools: Tools;
  readonly log: GuestLog;
}

export interface StorageContext extends StorageEnvironment {
  readonly owner: StorageOwner;
  /** Kata's directory, held open: all mount points lie below it. */
  readonly base: Directory;
  /** The mount point as a path below `base`. */
  readonly place: string;
  /** Opens a path of the request, which is no other container's; the caller closes the descriptor. `named`: for errors. */
  readonly open: (path: string, named: string, use?: SourceUse) => OpenSource;
  /** Throws `refused` for a directory of another container, before it is made. `path`: clean. */
  readonly refuseOthers: (path: string) => void;
  /** Puts another storage in place that this one needs, and takes it back with it. Its mount point is ours to choose. */
  readonly need: (storage: Storage) => Promise<void>;
  /** Steps to take this storage back. */
  readonly made: UndoStack;
}

/** One way of making a storage appear at its mount point. */
export interface StorageDriver {
  /** The word in a request's `driver`. */
  readonly name: string;
  /**
   * It holds a pod's data, as an emptyDir: a container that is restarted finds it again. It goes with the sandbox, unless
   * it lies in a container's own bundle.
   */
  readonly ofPod: boolean;
  /** The devices without which it cannot be prepared. Absent: it takes none. */
  needs?(storage: Storage): readonly Wanted[];
  prepare(storage: Storage, context: StorageContext): void | Promise<void>;
  /** An agent that was killed has prepared it: goes on with what takes an agent to be done. Absent: nothing does. */
  resume?(storage: Storage, context: StorageContext): Promise<void>;
}
