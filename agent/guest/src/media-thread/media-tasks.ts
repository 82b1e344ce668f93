import type { ImageProgram } from '@kata-agent/catalogue';
import type { MountCall, MountRequest, Task } from '@kata-agent/linux';
import type { LinkRefusal } from '../container/refuse-links.js';
import type { VolumeEntry } from '../confidential/sealed-files.js';
import type { CryptDevice, OpenedCrypt } from '../image/store/crypt-device.js';
import type { RequestedProgram } from '../image/program/read-program.js';
import type { OpenedDisk } from '../device/disk-calls.js';
import type { DeviceNumber } from '../device/device-number.js';
import type { FileSystem } from '../metrics/file-systems.js';
import type { OciMount } from '../request/oci-spec.js';
import type { GrowingFileSystem } from '../resource/grow-file-system.js';
import type { Plugged } from '../resource/switch-on.js';
import type { VolumeUsage } from '../resource/volume-stats.js';
import type { AttachedMount, MountBelow } from '../source/attach-below.js';
import type { OpenSource } from '../source/open-source.js';
import type { PodSourceCopy } from '../source/pod-source-copy.js';
import type { Content } from '../source/read-content.js';
import type { RequestedSource, SourceRules } from '../source/source-place.js';
import type { AdmittedCopy } from '../storage/copy-admission.js';
import type { CopyResult } from '../storage/copy-file-here.js';
import type { FsGroupGrant } from '../storage/fs-group-grant.js';
import type { MountedLayers, OpenedLayers } from '../storage/open-layers.js';
import type { Bind, Made } from '../storage/place-calls.js';
import type { RemovalPlace } from '../removal/remove-at.js';
import type { FileState, MirrorState } from '../storage/drivers/mirror.js';
import type { MirrorLimits } from '../storage/drivers/mirror-limits.js';
import type { Verity } from '../storage/drivers/verity-table.js';

/** A source whose descriptor is a number: the receiver owns it. */
interface SentSource extends Omit<OpenSource, 'descriptor'> {
  readonly fd: number;
}

/** A place that was opened: the receiver owns the descriptor. */
export interface OpenedPlace {
  readonly fd: number;
  readonly made: readonly Made[];
}

/** A place where something was mounted, below Kata's directory, and what was created for it. */
export interface MountedPlace {
  readonly kata: string;
  readonly place: string;
  readonly made: readonly Made[];
}

/** A place below Kata's directory. */
interface KataPlace {
  /** Path of Kata's directory. */
  readonly kata: string;
  readonly place: string;
}

interface InRoot {
  readonly rootfs: string;
  readonly path: string;
}

interface VerityMapping {
  /** Path of the device mapper's control node. */
  readonly control: string;
  readonly name: string;
  readonly disk: DeviceNumber;
  readonly verity: Verity;
}

/** Owner and permissions of a directory. */
interface PlaceAttributes {
  readonly place: string;
  readonly group?: number | undefined;
  /** Absent: as it is, with `added`. */
  readonly mode?: number | undefined;
  readonly added?: number | undefined;
}

/**
 * The tasks by name, with their arguments and results. Where a task says that something is lent, the caller lends descriptors, in this
 * order.
 */
export interface MediaTasks {
  /** Opens the source of a request. */
  readonly openSource: Task<{ readonly requested: RequestedSource; readonly rules: SourceRules }, SentSource>;
  /** Returns the statfs(2) magic number of what is lent. */
  readonly fileSystemType: Task<object, number>;
  /** Reads a regular file, which is lent, once. `named`: for errors. */
  readonly readContent: Task<{ readonly limit: number; readonly named: string }, Content>;
  /** Reports whether a volume, which is lent, has a sealed secret at its top. */
  readonly hasSealedFile: Task<object, boolean>;
  /** Reads a volume with sealed secrets, which is lent. `named`: for errors. */
  readonly readVolume: Task<{ readonly named: string }, readonly VolumeEntry[]>;
  /** Of what is lent. */
  readonly attributesOf: Task<object, FileState>;
  readonly checkKernelPlaces: Task<InRoot, void>;
  readonly readProgram: Task<
    { readonly root: string; readonly requested: RequestedProgram; readonly user: string | undefined },
    ImageProgram | undefined
  >;
  readonly hasRegularFile: Task<InRoot, boolean>;
  readonly checkAccountFiles: Task<{ readonly rootfs: string; readonly mounts: readonly OciMount[] }, void>;
  readonly resolveDestinations: Task<
    { readonly root: string; readonly mounts: readonly OciMount[] },
    readonly OciMount[]
  >;
  /** Attaches a mount of a container in another one. Lent: the mount namespaces of both. */
  readonly shareMount: Task<{ readonly from: string; readonly to: string }, void>;
  readonly refuseLinks: Task<LinkRefusal, void>;
  /** Lent: the source. */
  readonly copyPodSource: Task<PodSourceCopy, void>;
  readonly attachBelow: Task<MountBelow, AttachedMount>;
  /** Lent: the mount, the outer mount. */
  readonly detachBelow: Task<{ readonly made: readonly string[] }, void>;
  /** Mounts at a directory. Lent: Kata's directory, then what the options name by `lentPath`. */
  readonly mountDirectory: Task<
    { readonly place: string; readonly calls: readonly MountCall[] },
    MountedPlace
  >;
  /** Lent: Kata's directory, the source. */
  readonly bindPlace: Task<{ readonly place: string; readonly bind: Bind }, MountedPlace>;
  /** Changes the flags of a mount. Lent: Kata's directory. */
  readonly remount: Task<{ readonly place: string; readonly flags: number }, void>;
  /** Opens a directory, which is created if it is missing. Lent: Kata's directory. */
  readonly openPlace: Task<{ readonly place: string }, OpenedPlace>;
  /** The same for a file, for writing. */
  readonly openFilePlace: Task<{ readonly place: string }, OpenedPlace>;
  /** Lent: Kata's directory. */
  readonly makeDirectories: Task<{ readonly place: string }, readonly Made[]>;
  /** Lent: Kata's directory. */
  readonly setAttributes: Task<PlaceAttributes, void>;
  /** Returns the paths that do not exist. Lent: Kata's directory. */
  readonly missingPlaces: Task<{ readonly places: readonly string[] }, readonly string[]>;
  readonly removeMade: Task<{ readonly kata: string; readonly made: readonly Made[] }, void>;
  readonly removeIfEmpty: Task<{ readonly kata: string; readonly places: readonly string[] }, void>;
  readonly unmountPlace: Task<KataPlace, void>;
  /** Removes a tree; ETIMEDOUT if that takes longer. */
  readonly removeAt: Task<RemovalPlace, void>;
  readonly renameAt: Task<{ readonly top: string; readonly place: string; readonly name: string }, void>;
  /** Mounts at a directory of the agent. Lent: what the options name by `lentPath`. */
  readonly mount: Task<MountRequest, { readonly target: string }>;
  /** Unmounts a path with the mounts below it; does nothing if it is no mount point. */
  readonly unmount: Task<{ readonly target: string }, void>;
  readonly unmountTree: Task<{ readonly directory: string }, void>;
  /** Opens the directories of an overlay. */
  readonly openLayers: Task<MountedLayers, OpenedLayers>;
  /** Opens a disk, which keeps its number meanwhile. The receiver owns the descriptor. */
  readonly openDisk: Task<{ readonly path: string }, OpenedDisk>;
  /** Closes a descriptor of the caller, which must not use it any more. */
  readonly closeDisk: Task<{ readonly fd: number }, void>;
  /** Throws EBUSY if the kernel has claimed a disk. Lent: its node. */
  readonly openExclusively: Task<object, void>;
  /** Makes the kernel scan the bus for a plugged disk. `sys`: `/sys`. */
  readonly scanScsi: Task<{ readonly target: number; readonly lun: number; readonly sys: string }, void>;
  /** Brings a device online; returns whether it was offline before. */
  readonly switchOn: Task<{ readonly file: string }, boolean>;
  /** Brings at most `most` devices online. */
  readonly switchOnAll: Task<{ readonly kind: Plugged; readonly most: number; readonly sys: string }, void>;
  readonly refuseSecondDevice: Task<{ readonly device: string; readonly fstype: string }, void>;
  /** Creates a dm-verity device on a disk. `node`: the name of its node. */
  readonly mapVerity: Task<
    VerityMapping,
    { readonly node: string; readonly control: string; readonly name: string }
  >;
  readonly openCrypt: Task<CryptDevice, OpenedCrypt>;
  /** Reports whether the disk that is mounted at a directory has images. */
  readonly hasImages: Task<{ readonly directory: string }, boolean>;
  readonly unmap: Task<{ readonly control: string; readonly name: string }, void>;
  readonly readFirstBlock: Task<{ readonly device: string; readonly size: number }, void>;
  /** Lent: the disk. */
  readonly flushDisk: Task<object, void>;
  readonly swapOn: Task<{ readonly path: string }, { readonly path: string }>;
  readonly swapOff: Task<{ readonly path: string }, void>;
  /** Lent: Kata's directory. */
  readonly grantFsGroup: Task<FsGroupGrant, void>;
  /** Copies what has changed. Lent: the source, the copy. */
  readonly mirrorDirectory: Task<{ readonly state: MirrorState; readonly limits: MirrorLimits }, MirrorState>;
  /** Lists a copy that an earlier agent made. Lent: the copy. */
  readonly listMirror: Task<object, MirrorState>;
  /** Lent: the source, the copy. */
  readonly mirrorFile: Task<
    { readonly known: FileState | undefined; readonly limits: MirrorLimits },
    FileState | undefined
  >;
  readonly copyFile: Task<{ readonly copy: AdmittedCopy; readonly kata: string }, CopyResult>;
  readonly volumeStats: Task<{ readonly path: string; readonly rules: SourceRules }, readonly VolumeUsage[]>;
  readonly growFileSystem: Task<GrowingFileSystem, void>;
  /** Throws if the path is no directory below Kata's. */
  readonly findVolume: Task<{ readonly path: string; readonly kata: string }, void>;
  /** Returns the use of each file system that can run full. */
  readonly fileSystems: Task<{ readonly proc: string }, readonly FileSystem[]>;
  readonly touchMounts: Task<{ readonly kata: string }, void>;
  readonly readTerminationMessage: Task<
    { readonly id: string; readonly terminationLog: string | undefined; readonly kata: string },
    string
  >;
}
