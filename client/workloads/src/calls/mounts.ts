import { posix } from 'node:path';
import { kataDirectory, sharedDirectory } from '@kata-agent/catalogue';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type Storage, StorageSchema } from '@kata-agent/protocol/agent';
import { type Mount, MountSchema } from '@kata-agent/protocol/oci';
import type { Container, VolumeMount } from '../pod/container.js';
import type { ImageConfig } from '../pod/container-image.js';
import type { Volume, Workload } from '../pod/workload.js';
import type { Entry } from '../facts/fact.js';
import { celLiteral, sourcePlace } from '../facts/cel-literal.js';
import {
  emptyDirMode,
  imageVolume,
  isLocalVolume,
  localDirectory,
  type MountedVolume,
  type MountSubject,
  podFile,
  terminationFile,
  tokenVolume,
  volumeSubject,
} from './mounted-volume.js';
import type { Origins } from './expected-call.js';
import { layerOption, layerStorages } from './root-layers.js';
import { namesHostFiles, pullsImages, type RuntimeSetup } from './runtime-setup.js';
import { sampleId } from './sample-names.js';

export type CopiedKind = 'file' | 'directory';

/** The inputs of the engine's own mounts. */
interface DefaultOptions {
  readonly pause: boolean;
  readonly privileged: boolean;
  readonly readOnlyRoot: boolean;
}

const writable = ['rbind', 'rprivate', 'rw'];
const shared = sharedDirectory;
const sandbox = `${kataDirectory}/sandbox`;

/** The shared memory of the pod, at /dev/shm of each container. */
export const sharedMemory: string = `${sandbox}/shm`;

/**
 * Mount options of kernel filesystems, by type. A question mark marks an option that not every version of the engine or
 * the host's kernel has. Sources: containerd `pkg/oci/mounts.go`; genpolicy's settings of Kata Containers 4.1.0.
 */
const engineOptions: Readonly<Record<string, readonly string[]>> = {
  proc: ['nosuid', 'noexec', 'nodev'],
  tmpfs: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  devpts: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  mqueue: ['nosuid', 'noexec', 'nodev'],
  sysfs: ['nosuid', 'noexec', 'nodev'],
  cgroup: ['nosuid', 'noexec', 'nodev', 'relatime', 'nsdelegate?', 'memory_recursiveprot?'],
};

/** Volumes whose content changes with the cluster: the kubelet mounts them read-only. */
const fromCluster: ReadonlySet<string> = new Set(['configMap', 'secret', 'projected', 'downwardAPI']);

/**
 * Volumes of which the guest keeps a copy that follows the host's, if they have few files: at most 3 with the Go runtime, 2
 * with runtime-rs, whose links count too. Others are shared as they are. Sources: `isWatchableMount` in
 * `virtcontainers/mount.go`, `is_watchable_mount` in `kata-types/src/k8s.rs`.
 */
const watched: ReadonlySet<string> = new Set(['configMap', 'secret']);

/** The driver of the storage of such a copy. The number of files may change, so a request may lack it. */
export const watchedDriver = 'watchable-bind';

/**
 * Computes the mounts of one container. Sources: containerd's defaults and the kubelet's additions (genpolicy of Kata
 * Containers 4.1.0 lists both); `virtcontainers/kata_agent.go`, `fs_share_linux.go` and `container.go` for the Go
 * runtime, `crates/resource/src/volume` for runtime-rs.
 */
export class ContainerMounts {
  /** The mounts of the container. */
  readonly mounts: Mount[] = [];
  /** The storages that the mounts need. */
  readonly storages: Storage[] = [];
  /** Both in the form of rules' lists. */
  readonly mountTable: Entry[] = [];
  readonly storageTable: Entry[] = [];
  /** The files that are copied first if the host shares none, each with its reason. */
  readonly copies: { path: string; kind: CopiedKind; because: string }[] = [];
  /** What each mount is of whose source the runtime chooses. */
  readonly volumes: MountedVolume[] = [];
  readonly #setup: RuntimeSetup;
  readonly #id: string;
  readonly #sandbox: string;
  readonly #origins: Origins;
  readonly #earlier: ReadonlySet<string>;
  /** Number of mounts of the kernel's file systems, which are the first. */
  #ofKernel = 0;

  /** `earlier`: the subjects that existing containers of the pod mount. */
  constructor(
    setup: RuntimeSetup,
    ids: { readonly container: string; readonly sandbox: string },
    origins: Origins,
    earlier: ReadonlySet<string> = new Set(),
  ) {
    this.#setup = setup;
    this.#id = ids.container;
    this.#sandbox = ids.sandbox;
    this.#origins = origins;
    this.#earlier = earlier;
  }

  /** Adds the mounts of every container: kernel filesystems and the sandbox's shared memory. */
  defaults(options: DefaultOptions, own: ReadonlySet<string> = new Set()): void {
    const because = 'the container engine';
    const { pause, privileged } = options;
    const kernel = (type: string, destination: string, more: readonly string[] = []): void => {
      if (own.has(destination)) return;
      this.#mount(type, type, destination, [...(engineOptions[type] ?? []), ...more], because);
      this.#ofKernel += 1;
    };
    // Versions of containerd differ in what a privileged container can write to.
    const access = privileged ? ['ro?', 'rw?'] : ['ro'];
    kernel('proc', '/proc');
    kernel('tmpfs', '/dev');
    kernel('devpts', '/dev/pts');
    kernel('mqueue', '/dev/mqueue');
    kernel('sysfs', '/sys', access);
    if (!pause) kernel('cgroup', '/sys/fs/cgroup', access);
    if (!own.has('/dev/shm')) this.#mount('bind', sharedMemory, '/dev/shm', ['rbind'], because);
    const root = options.readOnlyRoot ? 'ro' : 'rw';
    const file = pause ? ['rbind', 'ro', 'nosuid?', 'nodev?', 'noexec?'] : ['rbind', 'rprivate', root];
    if (!own.has('/etc/resolv.conf')) this.#file('/etc/resolv.conf', podFile('resolv.conf'), file, because);
    if (!pause && !own.has('/etc/hostname')) this.#file('/etc/hostname', podFile('hostname'), file, because);
  }

  /** Returns the default mounts that the pod does not replace, the kubelet's additions, and the pod's mounts. */
  ofContainer(workload: Workload, container: Container, image: ImageConfig | undefined): void {
    const own = new Set(container.mounts.map(({ mountPath }) => posix.resolve(mountPath)));
    const { privileged, readOnlyRoot } = container;
    this.defaults({ pause: false, privileged, readOnlyRoot }, own);
    // The kubelet compares paths as they are, the engine without a slash at their end.
    if (!container.mounts.some(({ mountPath }) => mountPath === '/etc/hosts'))
      this.#file('/etc/hosts', podFile('etc-hosts'), writable, 'the kubelet');
    const termination = container.terminationMessagePath;
    const field = `${container.path}.terminationMessagePath`;
    this.#file(termination, terminationFile(container), writable, field);
    const token = '/var/run/secrets/kubernetes.io/serviceaccount';
    if (workload.hasToken && !own.has(token)) {
      this.#volume(
        {
          name: 'kube-api-access',
          kind: 'projected',
          memory: false,
          path: `${workload.path}.serviceAccountName`,
        },
        {
          volume: '',
          mountPath: token,
          readOnly: true,
          propagation: 'rprivate',
          part: false,
          path: `${workload.path}.automountServiceAccountToken`,
        },
        tokenVolume,
        { group: undefined, disk: 0 },
      );
    }
    for (const mount of container.mounts) {
      const volume = workload.volumes.get(mount.volume);
      if (volume === undefined) continue;
      const disk = [...workload.volumes.keys()].indexOf(volume.name);
      const subject = volumeSubject(volume, mount, container);
      this.#volume(volume, mount, subject, { group: workload.volumeGroup, disk });
    }
    const declared = `${container.path}.image: config.Volumes`;
    for (const path of (image?.volumes ?? []).filter((each) => !own.has(posix.resolve(each)))) {
      // The guest has the root: it fills the volume from there, whatever the host has.
      const isOfImage = this.#setup.guest === 'confidential' || this.#setup.verifiedLayers !== undefined;
      this.#file(path, { ...imageVolume(container, path), isOfImage }, writable, declared, 'directory');
    }
    this.#sort();
  }

  /**
   * The engine has its own file systems first, and then all others by the number of parts of their paths, so that none covers another
   * (containerd 1.7 and 2, `WithMounts` of the CRI plugin; CRI-O, `orderedMounts`). It leaves paths as they are in the pod.
   */
  #sort(): void {
    const others = this.mounts.splice(this.#ofKernel);
    this.mounts.push(...others.sort((a, b) => partsOf(a.destination) - partsOf(b.destination)));
  }

  /**
   * Adds the storages of the root: of an image that is pulled in the guest, or of the layers of one.
   *
   * @param position of the container in its pod
   */
  root(name: string, image: ImageConfig | undefined, position: number, because: string): void {
    if (this.#setup.snapshotter === 'erofs') {
      // Rules of their own are about layers, which have the same mount point.
      this.#origins.form('storageTable', { condition: `${celLiteral(layerOption)} in s.options`, because });
      const verified = this.#setup.verifiedLayers?.get(name);
      for (const layer of layerStorages(this.#id, image ?? {}, this.#setup, position, verified)) {
        this.storages.push(layer);
        const entry = [layer.driver, layer.fstype, sourcePlace(layer.mountPoint)];
        this.#origins.of('storages', entry, because);
      }
    }
    if (!pullsImages(this.#setup)) return;
    const mountPoint = `/run/kata-containers/${this.#id}/rootfs`;
    this.#storage({ driver: 'image_guest_pull', source: name, fstype: 'overlay', mountPoint }, [], because);
  }

  /**
   * Adds the mount of a volume, and the storage that it needs.
   *
   * Read, not recorded: an emptyDir in memory (`handleEphemeralStorage` in `kata_agent.go`, `ephemeral_volume.rs`).
   *
   * Read, not recorded: the option `discard` of an emptyDir with `block-plain` (`setupEphemeralDisk` in
   * `virtcontainers/container.go`, `block_emptydir_mount_options` in `block_emptydir_volume.rs`).
   *
   * @param disk the position of the volume among those of the pod, for a sample address
   */
  #volume(
    volume: Volume,
    mount: VolumeMount,
    subject: MountSubject,
    { group, disk: position }: { readonly group: number | undefined; readonly disk: number },
  ): void {
    const because = mount.path;
    const { mountPath: destination } = mount;
    // A mount that is shared less than the pod requests is harmless.
    const shared = mount.propagation === 'rprivate' ? ['rprivate'] : [`${mount.propagation}?`, 'rprivate?'];
    const options = ['rbind', ...shared, mount.readOnly || fromCluster.has(volume.kind) ? 'ro' : 'rw'];
    if (mount.part) {
      // The kubelet mounts it elsewhere, so that the runtimes do not recognize the volume.
      this.#file(destination, subject, options, because);
    } else if (volume.memory) {
      const source = `${sandbox}/ephemeral/${volume.name}`;
      const storage = { driver: 'ephemeral', source: 'tmpfs', fstype: 'tmpfs', mountPoint: source };
      this.#storage(storage, group === undefined ? [] : [`fsgid=${group}?`], because);
      this.#mountVolume('bind', source, { ...subject, destination, isWatched: false }, options, because);
    } else if (this.#isOnDisk(volume)) {
      const disk = `00/${position.toString(16).padStart(2, '0').slice(-2)}`;
      const source = `${sandbox}/storage/${Buffer.from(disk).toString('base64url')}`;
      const storage = { driver: 'blk', source: disk, fstype: 'ext4', mountPoint: source, shared: true };
      this.#storage(
        {
          ...storage,
          driverOptions: [...diskKey(this.#setup), 'create_filesystem'],
          ...(group === undefined ? {} : { fsGroup: { groupId: group } }),
        },
        emptyDirMode(this.#setup) === 'block-plain' ? ['discard?'] : [],
        because,
      );
      this.#mountVolume('bind', source, { ...subject, destination, isWatched: false }, options, because);
    } else if (isLocalVolume(volume, this.#setup)) {
      const { before, after } = localDirectory(this.#setup);
      const source = `${before}${this.#sandbox}${after}${volume.name}`;
      const storage = { driver: 'local', source: 'local', fstype: 'local', mountPoint: source };
      const fsgid = group === undefined ? [] : [`fsgid=${group}?`];
      this.#storage(storage, ['mode=0777', ...fsgid], because);
      this.#mountVolume('local', source, { ...subject, destination, isWatched: false }, options, because);
    } else if (this.#isOfGuest(volume, destination)) {
      this.#mount('bind', volume.hostPath ?? '', destination, options, because);
    } else if (watched.has(volume.kind) && this.#setup.guest === 'shared-fs') {
      const name = this.#sharedName(destination, subject);
      const source = `${this.#directory()}/watchable/${name}`;
      const storage = {
        driver: watchedDriver,
        source: `${this.#directory()}/${name}`,
        fstype: 'bind',
        mountPoint: source,
      };
      this.#storage(storage, ['rbind?', 'rprivate?', 'ro?'], because, this.#isShared(subject));
      this.#mountVolume('bind', source, { ...subject, destination, isWatched: true }, options, because);
    } else {
      const isLive = this.#setup.guest === 'shared-fs' && !fromCluster.has(volume.kind);
      this.#file(destination, { ...subject, isLive }, options, because, 'directory');
    }
  }

  /**
   * Reports whether runtime-rs has shared a path of the host for another mount of the pod: it then names the same path of
   * the guest, without a storage.
   *
   * Read, not recorded: a path that runtime-rs shares a second time (`mounted_info_set` in `share_fs_volume.rs`).
   */
  #isShared({ subject }: MountSubject): boolean {
    if (!namesHostFiles(this.#setup)) return false;
    return this.#earlier.has(subject) || this.volumes.some((volume) => volume.subject === subject);
  }

  /**
   * Reports whether a runtime passes a hostPath on as it is: a device or a kernel file system, of the guest then.
   *
   * Read, not recorded: hostPaths of /dev, /proc and /sys with runtime-rs (`is_host_device`, which looks at the mount point,
   * and `is_system_mount`).
   *
   * The host may have a file at a mount point below /dev, which is then shared.
   */
  #isOfGuest({ hostPath = '' }: Volume, destination: string): boolean {
    if (namesHostFiles(this.#setup))
      return /^\/(proc|sys)(\/|$)/.test(hostPath) || (hostPath !== '' && /^\/dev(\/|$)/.test(destination));
    return /^\/(dev|sys|proc)(\/|$)/.test(hostPath);
  }

  /** Reports whether an emptyDir is a disk, which the host attaches. */
  #isOnDisk({ kind }: Volume): boolean {
    return kind === 'emptyDir' && emptyDirMode(this.#setup) !== 'shared-fs';
  }

  /** Adds a file or directory of the host, shared with the guest or copied into it. */
  #file(
    destination: string,
    subject: MountSubject,
    options: readonly string[],
    because: string,
    kind: CopiedKind = 'file',
  ): void {
    const source = `${this.#directory()}/${this.#sharedName(destination, subject)}`;
    if (this.#setup.guest === 'confidential') {
      this.copies.push({ path: source, kind, because });
      this.#origins.of('path', sourcePlace(source), because);
    }
    this.#mountVolume('bind', source, { ...subject, destination, isWatched: false }, options, because);
  }

  #directory(): string {
    return namesHostFiles(this.#setup) ? `${shared}/passthrough` : shared;
  }

  /**
   * `CID-HEX16-NAME`, where NAME is the last part of the mount point; from runtime-rs, if it shares files,
   * `sandbox-HEX8-NAME`, where NAME is the last part of the host's path. Both forms are recorded.
   */
  #sharedName(destination: string, { subject, hostName }: MountSubject): string {
    if (namesHostFiles(this.#setup))
      return `sandbox-${sampleId(this.#sandbox, subject).slice(0, 8)}-${hostName.sample}`;
    const name = destination.split('/').findLast((part) => part !== '') ?? 'root';
    return `${this.#id}-${sampleId(this.#id, destination).slice(0, 16)}-${name}`;
  }

  /** Adds a mount whose source the runtime chooses. */
  #mountVolume(
    type: string,
    source: string,
    volume: MountedVolume,
    options: readonly string[],
    because: string,
  ): void {
    this.#mount(type, source, volume.destination, options, because);
    this.volumes.push(volume);
  }

  #mount(
    type: string,
    source: string,
    destination: string,
    options: readonly string[],
    because: string,
  ): void {
    const given = options.filter((option) => !option.endsWith('?'));
    this.mounts.push(create(MountSchema, { type, source, destination, options: given }));
    const row = [type, destination, placeOf(source), ...options];
    this.mountTable.push(row);
    this.#origins.of('mountTable', row, because);
    this.#origins.of('mounts', [type, destination], because);
    this.#origins.of('sources', sourcePlace(source), because);
  }

  /**
   * Adds a storage, and its row for rules.
   *
   * @param options in addition to those of the driver
   * @param isShared the request does not have it: an earlier one did
   */
  #storage(
    storage: MessageInitShape<typeof StorageSchema> & { driver: string; fstype: string; mountPoint: string },
    options: readonly string[],
    because: string,
    isShared = false,
  ): void {
    const { driver, fstype, mountPoint, driverOptions = [] } = storage;
    const given = options.filter((option) => !option.endsWith('?'));
    if (!isShared) this.storages.push(create(StorageSchema, { ...storage, options: given }));
    const row = [driver, fstype, placeOf(mountPoint), ...options, ...driverOptions];
    this.storageTable.push(row);
    this.#origins.of('storageTable', row, because);
    this.#origins.of('storages', [driver, fstype, sourcePlace(mountPoint)], because);
  }
}

/** The driver option with which the guest encrypts a disk; none for `block-plain`. */
function diskKey(setup: RuntimeSetup): readonly string[] {
  return emptyDirMode(setup) === 'block-encrypted' ? ['encryption_key=ephemeral'] : [];
}

/** As `sourcePlace`, but for tmpfs volumes: the runtimes use the pod's volume names. */
function placeOf(path: string): string {
  return path.startsWith(`${sandbox}/ephemeral/`) ? path : sourcePlace(path);
}

function partsOf(path: string): number {
  return posix
    .resolve(path)
    .split('/')
    .filter((part) => part !== '').length;
}
