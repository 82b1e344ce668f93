import { sharedDirectory } from '@kata-agent/catalogue';
import type { Volume } from '../pod/workload.js';
import type { Container, VolumeMount } from '../pod/container.js';
import type { RuntimeSetup } from './runtime-setup.js';

/** The last part of a path of the host, with which runtime-rs names the file that it shares. */
interface HostName {
  readonly sample: string;
  /** What the name matches if the host or the cluster chooses it; absent: the name is always the sample. */
  readonly pattern?: string;
}

/** What a mount is of: a volume of the pod, a file of the pod, or something of one container. */
export interface MountSubject {
  /**
   * Equal for two mounts of one thing: mounts of the pod share a source only if their subjects are equal. `volume data`,
   * `claim db`, `host /var/log`, `pod etc-hosts`, `own web /tmp`.
   */
  readonly subject: string;
  readonly hostName: HostName;
  /** A directory of the host, shared as it is, in which Kubernetes needs no links. */
  readonly isLive?: boolean;
  /** The file of the container's termination message, which the kubelet makes. */
  readonly isTermination?: boolean;
  /** The image declares it, and the guest has the root: it fills the volume itself. */
  readonly isOfImage?: boolean;
}

/** A mount whose source a runtime chooses. */
export interface MountedVolume extends MountSubject {
  readonly destination: string;
  /** Whether the guest keeps a copy that follows the host's, if the volume has few files. */
  readonly isWatched: boolean;
}

const hex8 = '[0-9a-f]{8}';

/**
 * Returns a file that containerd or the kubelet makes for a pod: `hostname`, `resolv.conf` in the sandbox's directory of
 * containerd, `etc-hosts` in that of the pod. All containers of the pod mount the same one.
 *
 * Sources: `internal/cri/server/container_create_linux.go` (`sandboxes/ID/hostname`) of containerd 1.7 and 2;
 * `getEtcHostsPath` in kubelet's `kubelet_getters.go`. Recorded with runtime-rs 4.1 and containerd 1.7.
 *
 * Read, not recorded: the name `hosts` of a pod without a kubelet (`getSandboxHosts` in containerd's
 * `internal/cri/server`).
 */
export function podFile(name: 'hostname' | 'resolv.conf' | 'etc-hosts'): MountSubject {
  // Without a kubelet, containerd mounts its own file `hosts`.
  const pattern = name === 'etc-hosts' ? '(etc-)?hosts' : undefined;
  return {
    subject: `pod ${name}`,
    hostName: { sample: name, ...(pattern === undefined ? {} : { pattern }) },
  };
}

/**
 * Returns the termination message of a container: the kubelet's `pods/UID/containers/NAME/HEX8`.
 *
 * Read, not recorded: HEX8 of a termination message (`makeMounts` and `GenerateRunContainerOptions` of the kubelet).
 */
export function terminationFile({ name, terminationMessagePath }: Container): MountSubject {
  return {
    subject: `own ${name} ${terminationMessagePath}`,
    hostName: { sample: '0badcafe', pattern: hex8 },
    isTermination: true,
  };
}

/**
 * Returns a volume that an image declares: a directory of containerd with a random name, `containers/ID/volumes/HEX64`.
 *
 * Read, not recorded: HEX64 of a volume that an image declares (`volumeMounts` in containerd's `container_create.go`).
 */
export function imageVolume({ name }: Container, path: string): MountSubject {
  return {
    subject: `own ${name} ${path}`,
    hostName: { sample: 'a'.repeat(64), pattern: '[0-9a-f]{64}' },
  };
}

/** The token of the service account, which admission adds to each pod as a projected volume with this name. */
export const tokenVolume: MountSubject = {
  subject: 'volume kube-api-access',
  hostName: { sample: 'kube-api-access-x2x4z', pattern: 'kube-api-access-[a-z0-9]{5}' },
};

/**
 * Returns what a mount of a pod's volume is of. The kubelet's directory of a volume has the volume's name
 * (`volumes/kubernetes.io~configmap/NAME`); one with a subPath is mounted at `volume-subpaths/NAME/CONTAINER/INDEX` first,
 * where INDEX is its position in `volumeMounts`.
 *
 * Recorded with runtime-rs 4.1: configMap, secret, projected, emptyDir, hostPath.
 *
 * Read, not recorded: names of the directories of downwardAPI and nfs volumes (`GetPodVolumeDir` of the kubelet).
 *
 * Read, not recorded: names of subPath mounts, claims, CSI volumes, and volumes of all other kinds.
 */
export function volumeSubject(volume: Volume, mount: VolumeMount, container: Container): MountSubject {
  if (mount.part) {
    const index = String(container.mounts.indexOf(mount));
    return { subject: `own ${container.name} ${mount.mountPath}`, hostName: { sample: index } };
  }
  const { name, kind, hostPath, claim } = volume;
  if (kind === 'hostPath') {
    const parts = (hostPath ?? '').split('/').filter((part) => part !== '');
    return { subject: `host /${parts.join('/')}`, hostName: named(parts.at(-1)) };
  }
  if (kind === 'persistentVolumeClaim')
    return { subject: `claim ${claim ?? name}`, hostName: { sample: 'pv', pattern: '[^/]+' } };
  const subject = `volume ${name}`;
  if (inOwnDirectory.has(kind)) return { subject, hostName: { sample: name } };
  return {
    subject,
    hostName: kind === 'csi' ? { sample: 'mount' } : { sample: name, pattern: '[^/]+' },
  };
}

/** Kinds of volumes whose directory on the host has the volume's name. */
const inOwnDirectory: ReadonlySet<string> = new Set([
  'emptyDir',
  'configMap',
  'secret',
  'projected',
  'downwardAPI',
  'nfs',
]);

/** `/` has no name: runtime-rs does not share it. */
function named(name: string | undefined): HostName {
  return name === undefined ? { sample: 'root', pattern: '[^/]+' } : { sample: name };
}

/** The directory of emptyDir volumes, below that of the sandbox's first container, whose ID is the sandbox's ID. */
export function localDirectory({ runtime }: Pick<RuntimeSetup, 'runtime'>): {
  readonly before: string;
  readonly after: string;
} {
  const before = runtime === 'rs' ? `${sharedDirectory}/passthrough/` : `${sharedDirectory}/`;
  return { before, after: '/rootfs/local/' };
}

/**
 * Returns where an emptyDir on disk is: `emptydir_mode` of the runtime's configuration. By default that of Kata's
 * configurations for the guest.
 */
export function emptyDirMode({
  runtime,
  guest,
  emptyDirs,
}: Pick<RuntimeSetup, 'runtime' | 'guest' | 'emptyDirs'>): NonNullable<RuntimeSetup['emptyDirs']> {
  if (emptyDirs !== undefined) return emptyDirs;
  return guest === 'confidential' && runtime !== 'remote' ? 'block-encrypted' : 'shared-fs';
}

/**
 * Reports whether the guest creates the directory of a volume by a storage `local`; the mount then has that type too.
 * The Go runtime does so for an emptyDir on disk if the host shares files, and for peer pods; runtime-rs shares the
 * host's directory, unless no file system is shared.
 *
 * Sources: `SetEphemeralStorageType` in `pkg/katautils/create.go` and `handleLocalStorage` in
 * `virtcontainers/kata_agent.go` of Kata Containers 4.1.0, with the default `disable_guest_empty_dir = false`;
 * `need_local_volume` in runtime-rs, of which the storage and the mount are recorded.
 */
export function isLocalVolume({ kind, memory }: Volume, setup: RuntimeSetup): boolean {
  if (kind !== 'emptyDir' || memory || emptyDirMode(setup) !== 'shared-fs') return false;
  return setup.runtime !== 'rs' || setup.guest === 'confidential';
}
