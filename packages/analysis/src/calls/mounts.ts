import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type Storage, StorageSchema } from '@kata-agent/protocol/agent';
import { type Mount, MountSchema } from '@kata-agent/protocol/oci';
import type { Container, VolumeMount } from '../pod/container.js';
import type { ImageConfig } from '../pod/image-config.js';
import type { Volume, Workload } from '../pod/workload.js';
import type { Entry } from '../write/fact-name.js';
import { sourcePlace } from '../write/source-place.js';
import { isLocalVolume, localFolder } from './local-volume.js';
import type { Origins } from './origins.js';
import type { RuntimeSetup } from './runtime-setup.js';
import { sampleId } from './sample-id.js';

/** What the engine's own mounts depend on. */
interface DefaultOptions {
  readonly pause: boolean;
  readonly privileged: boolean;
  readonly readOnlyRoot: boolean;
}

const writable = ['rbind', 'rprivate', 'rw'];
const shared = '/run/kata-containers/shared/containers';
const sandbox = '/run/kata-containers/sandbox';

/**
 * Options of the kernel's own filesystems, by type; a question mark says that not every version of the engine or of the
 * host's kernel has it. Sources: containerd `pkg/oci/mounts.go`; genpolicy's settings of Kata Containers 4.1.0.
 */
const engineOptions: Readonly<Record<string, readonly string[]>> = {
  proc: ['nosuid', 'noexec', 'nodev'],
  tmpfs: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  devpts: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  mqueue: ['nosuid', 'noexec', 'nodev'],
  sysfs: ['nosuid', 'noexec', 'nodev'],
  cgroup: ['nosuid', 'noexec', 'nodev', 'relatime', 'nsdelegate?', 'memory_recursiveprot?'],
};

/** Volumes whose content follows a change in the cluster: the guest polls the host's copy for them. */
const watched: ReadonlySet<string> = new Set(['configMap', 'secret', 'projected', 'downwardAPI']);

/**
 * The mounts of one container. Sources: containerd's defaults and what the kubelet adds (genpolicy of Kata Containers
 * 4.1.0 lists both); `virtcontainers/kata_agent.go`, `fs_share_linux.go` and `container.go` for the runtime in Go,
 * `crates/resource/src/volume` for runtime-rs.
 */
export class ContainerMounts {
  /** What it has mounted. */
  readonly mounts: Mount[] = [];
  /** What the guest prepares for that. */
  readonly storages: Storage[] = [];
  /** Both as rules list them. */
  readonly mountTable: Entry[] = [];
  readonly storageTable: Entry[] = [];
  /** Where files are copied to first, where the host shares none; each with its reason. */
  readonly copies: { path: string; because: string }[] = [];
  readonly #setup: RuntimeSetup;
  readonly #id: string;
  readonly #sandbox: string;
  readonly #origins: Origins;

  constructor(
    setup: RuntimeSetup,
    ids: { readonly container: string; readonly sandbox: string },
    origins: Origins,
  ) {
    this.#setup = setup;
    this.#id = ids.container;
    this.#sandbox = ids.sandbox;
    this.#origins = origins;
  }

  /** What every container has: the kernel's own filesystems and the sandbox's shared memory. */
  defaults(options: DefaultOptions, own: ReadonlySet<string> = new Set()): void {
    const because = 'the container engine';
    const { pause, privileged } = options;
    const kernel = (type: string, destination: string, more: readonly string[] = []): void => {
      if (own.has(destination)) return;
      this.#mount(type, type, destination, [...(engineOptions[type] ?? []), ...more], because);
    };
    // Versions of containerd differ in what a privileged container may write to.
    const access = privileged ? ['ro?', 'rw?'] : ['ro'];
    kernel('proc', '/proc');
    kernel('tmpfs', '/dev');
    kernel('devpts', '/dev/pts');
    kernel('mqueue', '/dev/mqueue');
    kernel('sysfs', '/sys', access);
    if (!pause) kernel('cgroup', '/sys/fs/cgroup', access);
    if (!own.has('/dev/shm')) this.#mount('bind', `${sandbox}/shm`, '/dev/shm', ['rbind'], because);
    const root = options.readOnlyRoot ? 'ro' : 'rw';
    const file = pause ? ['rbind', 'ro', 'nosuid?', 'nodev?', 'noexec?'] : ['rbind', 'rprivate', root];
    if (!own.has('/etc/resolv.conf')) this.#file('/etc/resolv.conf', file, because);
    if (!pause && !own.has('/etc/hostname')) this.#file('/etc/hostname', file, because);
  }

  /** The defaults but those that the pod replaces, what the kubelet adds, and what the pod asks for. */
  ofContainer(workload: Workload, container: Container, image: ImageConfig | undefined): void {
    const own = new Set(container.mounts.map(({ mountPath }) => mountPath));
    const { privileged, readOnlyRoot } = container;
    this.defaults({ pause: false, privileged, readOnlyRoot }, own);
    if (!own.has('/etc/hosts')) this.#file('/etc/hosts', writable, 'the kubelet');
    this.#file(container.terminationMessagePath, writable, `${container.path}.terminationMessagePath`);
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
          path: `${workload.path}.automountServiceAccountToken`,
        },
      );
    }
    for (const mount of container.mounts) {
      const volume = workload.volumes.get(mount.volume);
      if (volume !== undefined) this.#volume(volume, mount, workload.volumeGroup);
    }
    for (const path of image?.volumes ?? []) {
      if (!own.has(path)) this.#file(path, writable, `${container.path}.image: config.Volumes`);
    }
  }

  /** The image, where it is pulled in the guest. */
  image(name: string, because: string): void {
    if (this.#setup.guest !== 'confidential') return;
    const mountPoint = `/run/kata-containers/${this.#id}/rootfs`;
    this.#storage({ driver: 'image_guest_pull', source: name, fstype: 'overlay', mountPoint }, [], because);
  }

  #volume(volume: Volume, mount: VolumeMount, group?: number): void {
    const because = mount.path;
    const content = watched.has(volume.kind);
    // What is shared less than the pod asks for hurts nobody.
    const shared = mount.propagation === 'rprivate' ? ['rprivate'] : [`${mount.propagation}?`, 'rprivate?'];
    const options = ['rbind', ...shared, mount.readOnly || content ? 'ro' : 'rw'];
    if (volume.memory) {
      const source = `${sandbox}/ephemeral/${volume.name}`;
      const storage = { driver: 'ephemeral', source: 'tmpfs', fstype: 'tmpfs', mountPoint: source };
      this.#storage(storage, group === undefined ? [] : [`fsgid=${group}?`], because);
      this.#mount('bind', source, mount.mountPath, options, because);
    } else if (volume.kind === 'emptyDir' && this.#setup.guest === 'confidential') {
      const disk = `00/${this.storages.length.toString(16).padStart(2, '0')}`;
      const source = `${sandbox}/storage/${Buffer.from(disk).toString('base64url')}`;
      const storage = { driver: 'blk', source: disk, fstype: 'ext4', mountPoint: source, shared: true };
      this.#storage(
        {
          ...storage,
          driverOptions: ['encryption_key=ephemeral', 'create_filesystem'],
          ...(group === undefined ? {} : { fsGroup: { groupId: group } }),
        },
        [],
        because,
      );
      this.#mount('bind', source, mount.mountPath, options, because);
    } else if (isLocalVolume(volume, this.#setup)) {
      const source = `${localFolder.before}${this.#sandbox}${localFolder.after}${volume.name}`;
      const storage = { driver: 'local', source: 'local', fstype: 'local', mountPoint: source };
      const fsgid = group === undefined ? [] : [`fsgid=${group}?`];
      this.#storage(storage, ['mode=0777', ...fsgid], because);
      this.#mount('local', source, mount.mountPath, options, because);
    } else if (/^\/(dev|sys|proc)(\/|$)/.test(volume.hostPath ?? '')) {
      this.#mount('bind', volume.hostPath ?? '', mount.mountPath, options, because);
    } else if (content && this.#setup.guest === 'shared-fs') {
      const name = this.#sharedName(mount.mountPath);
      const source = `${this.#folder()}/watchable/${name}`;
      const storage = {
        driver: 'watchable-bind',
        source: `${this.#folder()}/${name}`,
        fstype: 'bind',
        mountPoint: source,
      };
      this.#storage(storage, ['rbind?', 'rprivate?', 'ro?'], because);
      this.#mount('bind', source, mount.mountPath, options, because);
    } else {
      this.#file(mount.mountPath, options, because);
    }
  }

  /** A file or folder of the host, shared with the guest or copied into it. */
  #file(destination: string, options: readonly string[], because: string): void {
    const source = `${this.#folder()}/${this.#sharedName(destination)}`;
    if (this.#setup.guest === 'confidential') {
      this.copies.push({ path: source, because });
      this.#origins.of('path', sourcePlace(source), because);
    }
    this.#mount('bind', source, destination, options, because);
  }

  #folder(): string {
    return this.#setup.runtime === 'rs' && this.#setup.guest === 'shared-fs'
      ? `${shared}/passthrough`
      : shared;
  }

  /** `ID-RANDOM-NAME`; runtime-rs writes `sandbox` for the identifier where it shares files. */
  #sharedName(destination: string): string {
    const scope = this.#setup.runtime === 'rs' && this.#setup.guest === 'shared-fs' ? 'sandbox' : this.#id;
    const name = destination.split('/').findLast((part) => part !== '') ?? 'root';
    return `${scope}-${sampleId(this.#id, destination).slice(0, 16)}-${name}`;
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

  /** `options`: beside those of the driver. */
  #storage(
    storage: MessageInitShape<typeof StorageSchema> & { driver: string; fstype: string; mountPoint: string },
    options: readonly string[],
    because: string,
  ): void {
    const { driver, fstype, mountPoint, driverOptions = [] } = storage;
    const given = options.filter((option) => !option.endsWith('?'));
    this.storages.push(create(StorageSchema, { ...storage, options: given }));
    const row = [driver, fstype, placeOf(mountPoint), ...options, ...driverOptions];
    this.storageTable.push(row);
    this.#origins.of('storageTable', row, because);
    this.#origins.of('storages', [driver, fstype, sourcePlace(mountPoint)], because);
  }
}

/** As `sourcePlace`, but for volumes in memory: the runtimes give them the names that the pod gives them. */
function placeOf(path: string): string {
  return path.startsWith(`${sandbox}/ephemeral/`) ? path : sourcePlace(path);
}
