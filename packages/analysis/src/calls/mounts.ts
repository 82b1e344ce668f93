import { create } from '@bufbuild/protobuf';
import { type Storage, StorageSchema } from '@kata-agent/protocol/agent';
import { type Mount, MountSchema } from '@kata-agent/protocol/oci';
import type { Container, VolumeMount } from '../pod/container.js';
import type { ImageConfig } from '../pod/image-config.js';
import type { Volume, Workload } from '../pod/workload.js';
import { sourcePlace } from '../write/source-place.js';
import type { Origins } from './origins.js';
import type { RuntimeSetup } from './runtime-setup.js';
import { sampleId } from './sample-id.js';

const shared = '/run/kata-containers/shared/containers';
const sandbox = '/run/kata-containers/sandbox';

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
  /** Where files are copied to first, where the host shares none; each with its reason. */
  readonly copies: { path: string; because: string }[] = [];
  readonly #setup: RuntimeSetup;
  readonly #id: string;
  readonly #origins: Origins;

  constructor(setup: RuntimeSetup, id: string, origins: Origins) {
    this.#setup = setup;
    this.#id = id;
    this.#origins = origins;
  }

  /** What every container has: the kernel's own filesystems and the sandbox's shared memory. */
  defaults(pause: boolean, own: ReadonlySet<string> = new Set()): void {
    const because = 'the container engine';
    this.#mount('proc', 'proc', '/proc', because);
    this.#mount('tmpfs', 'tmpfs', '/dev', because);
    this.#mount('devpts', 'devpts', '/dev/pts', because);
    this.#mount('mqueue', 'mqueue', '/dev/mqueue', because);
    this.#mount('sysfs', 'sysfs', '/sys', because);
    if (!pause) this.#mount('cgroup', 'cgroup', '/sys/fs/cgroup', because);
    if (!own.has('/dev/shm')) this.#mount('bind', `${sandbox}/shm`, '/dev/shm', because);
    if (!own.has('/etc/resolv.conf')) this.#file('/etc/resolv.conf', because);
    if (!pause && !own.has('/etc/hostname')) this.#file('/etc/hostname', because);
  }

  /** The defaults but those that the pod replaces, what the kubelet adds, and what the pod asks for. */
  ofContainer(workload: Workload, container: Container, image: ImageConfig | undefined): void {
    const own = new Set(container.mounts.map(({ mountPath }) => mountPath));
    this.defaults(false, own);
    if (!own.has('/etc/hosts')) this.#file('/etc/hosts', 'the kubelet');
    this.#file(container.terminationMessagePath, `${container.path}.terminationMessagePath`);
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
          path: `${workload.path}.automountServiceAccountToken`,
        },
      );
    }
    for (const mount of container.mounts) {
      const volume = workload.volumes.get(mount.volume);
      if (volume !== undefined) this.#volume(volume, mount);
    }
    for (const path of image?.volumes ?? []) {
      if (!own.has(path)) this.#file(path, `${container.path}.image: config.Volumes`);
    }
  }

  /** The image, where it is pulled in the guest. */
  image(name: string, because: string): void {
    if (this.#setup.guest !== 'confidential') return;
    const mountPoint = `/run/kata-containers/${this.#id}/rootfs`;
    this.#storage({ driver: 'image_guest_pull', source: name, fstype: 'overlay', mountPoint }, because);
  }

  #volume(volume: Volume, mount: VolumeMount): void {
    const because = mount.path;
    if (volume.memory) {
      const source = `${sandbox}/ephemeral/${volume.name}`;
      this.#storage({ driver: 'ephemeral', source: 'tmpfs', fstype: 'tmpfs', mountPoint: source }, because);
      this.#mount('bind', source, mount.mountPath, because);
    } else if (volume.kind === 'emptyDir' && this.#setup.guest === 'confidential') {
      const source = `${sandbox}/storage/${Buffer.from(`00/${sampleId(volume.name).slice(0, 2)}`).toString('base64url')}`;
      this.#storage(
        { driver: 'blk', source: '00/01', fstype: 'ext4', mountPoint: source, shared: true },
        because,
      );
      this.#mount('bind', source, mount.mountPath, because);
    } else if (/^\/(dev|sys|proc)(\/|$)/.test(volume.hostPath ?? '')) {
      this.#mount('bind', volume.hostPath ?? '', mount.mountPath, because);
    } else if (watched.has(volume.kind) && this.#setup.guest === 'shared-fs') {
      const name = this.#sharedName(mount.mountPath);
      const source = `${this.#folder()}/watchable/${name}`;
      const storage = {
        driver: 'watchable-bind',
        source: `${this.#folder()}/${name}`,
        fstype: 'bind',
        mountPoint: source,
      };
      this.#storage(storage, because);
      this.#mount('bind', source, mount.mountPath, because);
    } else {
      this.#file(mount.mountPath, because);
    }
  }

  /** A file or folder of the host, shared with the guest or copied into it. */
  #file(destination: string, because: string): void {
    const source = `${this.#folder()}/${this.#sharedName(destination)}`;
    if (this.#setup.guest === 'confidential') {
      this.copies.push({ path: source, because });
      this.#origins.of('path', sourcePlace(source), because);
    }
    this.#mount('bind', source, destination, because);
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

  #mount(type: string, source: string, destination: string, because: string): void {
    this.mounts.push(
      create(MountSchema, { type, source, destination, options: type === 'bind' ? ['rbind'] : [] }),
    );
    this.#origins.of('mounts', [type, destination], because);
    this.#origins.of('sources', sourcePlace(source), because);
  }

  #storage(
    storage: { driver: string; source: string; fstype: string; mountPoint: string; shared?: boolean },
    because: string,
  ): void {
    this.storages.push(create(StorageSchema, storage));
    this.#origins.of('storages', [storage.driver, storage.fstype, sourcePlace(storage.mountPoint)], because);
  }
}
