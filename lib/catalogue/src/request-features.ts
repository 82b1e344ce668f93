// Imports nothing: the guest reads it too.

/** Something that a request names, and that Kata's agent knows. */
export interface RequestFeature {
  readonly kind: 'storage driver' | 'storage option' | 'device type';
  /** As in the request: `Storage.driver`, an entry of `Storage.driver_options`, `Device.type`. */
  readonly name: string;
  /** False: the agent refuses it by name, with UNIMPLEMENTED. */
  readonly built: boolean;
  /** The pods whose requests have it. */
  readonly pods: string;
}

/** The feature that each container needs if the host shares no files with the guest. */
export const guestPull = 'image_guest_pull';

/**
 * The storage drivers, options and device types of Kata's agent (4.1, src/libs/kata-types/src/{device,mount}.rs). The
 * agent serves or refuses them as listed here, and `config check`, `config generate` and `config preflight` report what
 * it would refuse.
 */
export const requestFeatures: readonly RequestFeature[] = [
  ...features('storage driver', true, {
    bind: 'none; a client of the agent',
    blk: 'volumes on disks, roots on disks, emptyDir of confidential guests',
    'erofs.multi-layer': "images of containerd's EROFS snapshotter",
    ephemeral: 'all pods: /dev/shm, emptyDir in memory, huge pages',
    [guestPull]: 'all pods of confidential guests and peer pods: the guest pulls the images',
    local: 'emptyDir with the Go runtime',
    mmioblk: 'volumes on disks, with Firecracker or Dragonball',
    nvdimm: 'volumes on persistent memory',
    overlayfs: 'roots of layers on a shared file system',
    scsi: 'volumes on disks, with virtio-scsi',
    'virtio-fs': 'all pods of guests with a shared file system',
    'watchable-bind': 'ConfigMaps, Secrets and projected volumes on a shared file system',
  }),
  ...features('storage driver', false, {
    'blk-ccw': 'volumes on disks, on IBM Z',
  }),
  ...features('storage option', true, {
    create_filesystem: 'emptyDir on a disk',
    'encryption_key=ephemeral': 'emptyDir of confidential guests',
  }),
  ...features('device type', true, {
    blk: 'volumeDevices',
    mmioblk: 'volumeDevices, with Firecracker or Dragonball',
    nvdimm: 'volumeDevices on persistent memory',
    scsi: 'volumeDevices, with virtio-scsi',
    'vfio-pci': 'network functions of SR-IOV device plugins',
    'vfio-pci-gk': 'GPUs that are attached to a running guest',
  }),
  ...features('device type', false, {
    'blk-ccw': 'volumeDevices, on IBM Z',
    vfio: 'devices of device plugins that are passed through',
    'vfio-ap': 'crypto cards, on IBM Z',
    'vfio-ap-cold': 'crypto cards, on IBM Z',
    'vfio-mdev': 'mediated devices',
  }),
];

/** Returns the names of one kind that the agent refuses. */
export function unbuiltNames(kind: RequestFeature['kind']): ReadonlySet<string> {
  return new Set(requestFeatures.filter((row) => row.kind === kind && !row.built).map(({ name }) => name));
}

function features(
  kind: RequestFeature['kind'],
  built: boolean,
  podsByName: Readonly<Record<string, string>>,
): readonly RequestFeature[] {
  return Object.entries(podsByName).map(([name, pods]) => ({ kind, name, built, pods }));
}
