import type { RuntimeName } from '@kata-agent/catalogue';
import type { VerifiedLayer } from '@kata-agent/catalogue/requested-root';

/** The values of `emptydir_mode`. */
export const emptyDirModes = ['shared-fs', 'block-plain', 'block-encrypted'] as const;

/** The properties of the cluster that affect the calls to the agent. */
export interface RuntimeSetup {
  readonly runtime: RuntimeName;
  /**
   * `shared-fs`: the host shares files over virtio-fs. `confidential`: it shares none; images are pulled in the guest,
   * files are copied into it, and empty directories are encrypted block devices.
   *
   * Source: the default and the `-coco` configurations of Kata Containers 4.1.0.
   */
  readonly guest: 'shared-fs' | 'confidential';
  /** `emptydir_mode` of the runtime's configuration; absent: `block-encrypted` for a confidential guest, else `shared-fs`. */
  readonly emptyDirs?: (typeof emptyDirModes)[number];
  /**
   * containerd's snapshotter, if it decides how a root reaches the guest. `erofs`, with runtime-rs: as disks with EROFS
   * layers. Absent: shared by the host, or pulled in the guest if the host shares no files.
   */
  readonly snapshotter?: 'erofs';
  /** What pulls images in the guest. Absent: not known, or nothing does. */
  readonly puller?: 'built-in';
  /**
   * The layers of each image, by its name, the base first: the guest accepts nothing else (`[image] layers = "verified"`), and
   * has the root of the pause container itself. Absent: it accepts roots of the host.
   */
  readonly verifiedLayers?: ReadonlyMap<string, readonly VerifiedLayer[]>;
  /**
   * The network namespace that containers join, which the forwarder of peer pods adds to requests. Absent: they use the
   * guest's own.
   */
  readonly networkNamespace?: string;
}

/**
 * Reports whether shared files are named after their paths on the host, and once for a whole pod: with runtime-rs and a
 * shared file system. Otherwise each container has files of its own, which are named after its mount points.
 */
export function namesHostFiles({ runtime, guest }: Pick<RuntimeSetup, 'runtime' | 'guest'>): boolean {
  return runtime === 'rs' && guest === 'shared-fs';
}

/** Reports whether the pause container is the guest's own, whatever the host offers. */
export function hasOwnPause(setup: RuntimeSetup): boolean {
  return pullsImages(setup) || setup.verifiedLayers !== undefined;
}

/** Reports whether the guest pulls the images of its containers. */
export function pullsImages({ guest, snapshotter }: RuntimeSetup): boolean {
  return guest === 'confidential' && snapshotter === undefined;
}
