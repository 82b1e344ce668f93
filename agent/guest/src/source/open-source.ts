import { fstatSync, readlinkSync, realpathSync, statfsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { attestationAgentDirectory } from '@kata-agent/catalogue';
import { Descriptor, Directory, hasCode, mounts, type Syscalls, UnsafePathError } from '@kata-agent/linux';
import { type DeviceNumber, deviceNumber } from '../device/device-number.js';
import { guestDevices, isEvidence } from '../device/guest-devices.js';
import { GuestError } from '../guest-error.js';
import { cleanPath, contains } from '../paths/clean-path.js';
import type { SourceUse, UsedSource } from './place-owner.js';
import { type RequestedSource, type SourcePlace, sourcePlace, type SourceRules } from './source-place.js';
import { quotedPath } from '../quoted.js';

/** A source whose descriptor is a number: the receiver owns it. */
interface SentSource extends Omit<NamedSource, 'descriptor'> {
  readonly fd: number;
}

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Opens the source of a request. */
    readonly openSource: (args: {
      readonly requested: RequestedSource;
      readonly rules: SourceRules;
    }) => SentSource;
  }
}

/** A source that was resolved once: all later steps use this descriptor. */
export interface OpenSource extends SourcePlace {
  readonly descriptor: Descriptor;
  readonly isDirectory: boolean;
  /** It is a regular file. */
  readonly isFile: boolean;
  readonly isDevice: boolean;
  /** The number, if it is a character device. */
  readonly device: DeviceNumber | undefined;
}

/** A source that a request names. */
export interface NamedSource extends OpenSource {
  /** The type of its file system, by statfs(2) magic number. */
  readonly fileSystem: number;
}

/**
 * Opens the source of a request with O_PATH: below its base no link is followed and the path cannot leave it. Refuses
 * paths by `sourcePlace`, and by what the descriptor refers to: kernel interface file systems, devices that the
 * configuration does not name, and what gives evidence. The caller closes the descriptor.
 */
export function openSource(requested: RequestedSource, rules: SourceRules, syscalls: Syscalls): NamedSource {
  const { named, path } = requested;
  // By name first: a device may appear later.
  refuseEvidence(`/${cleanPath(path, named).join('/')}`, undefined, requested, rules);
  const place = sourcePlace(withGuestLinks(requested, rules), rules);
  const descriptor = open(place, requested, syscalls);
  try {
    const stat = fstatSync(descriptor.fd, { bigint: true });
    const device = stat.isCharacterDevice() ? deviceNumber(stat.rdev) : undefined;
    refuseEvidence(readlinkSync(`/proc/self/fd/${descriptor.fd}`), device, requested, rules);
    const isDevice = stat.isCharacterDevice() || stat.isBlockDevice();
    const fileSystem = statfsSync(`/proc/self/fd/${descriptor.fd}`).type;
    if (place.kind !== 'guest') {
      const isExpected = place.kind === 'kernel' || isDevice === (place.kind === 'device');
      if (!isExpected || stat.isBlockDevice())
        throw new GuestError(
          'refused',
          `${named} ${quotedPath(path)} ${isDevice ? 'is a device' : 'is not a device'}`,
        );
      if (place.kind === 'kata' || place.kind === 'listed') refuseKernelInterface(fileSystem, requested);
    }
    return {
      ...place,
      descriptor,
      isDirectory: stat.isDirectory(),
      isFile: stat.isFile(),
      isDevice,
      fileSystem,
      device,
    };
  } catch (error) {
    descriptor.close();
    throw error;
  }
}

/**
 * Refuses sources that give evidence, where only the agent may: neither a rule nor `privileged_containers` allows them (S32).
 * `path` is the one of the request, or where it leads.
 */
function refuseEvidence(
  path: string,
  device: DeviceNumber | undefined,
  requested: RequestedSource,
  { access, paths }: SourceRules,
): void {
  if (access.evidencePaths === 'allow') return;
  const node = { path, ...(device ?? { major: 0, minor: 0 }) };
  if (!isEvidence(node, guestDevices(paths)) && !givesEvidence(path, mounts())) return;
  throw new GuestError(
    'refused',
    `${requested.named} ${quotedPath(requested.path)} would give evidence of the guest to a container, which only the agent may give with [evidence]; help: mount only the paths that the container needs, such as "/dev/shm"`,
  );
}

/** Returns the record of a source. `use`: its purpose, if it is in Kata's directory. */
export function usedSource({ path, kind, isDirectory }: OpenSource, use: SourceUse): UsedSource {
  return { path, use: kind === 'kata' ? use : 'guest', isDirectory };
}

/** A privileged container may name a path of the guest that contains links, as `/var/run`: they are resolved here. */
function withGuestLinks(requested: RequestedSource, { paths, access }: SourceRules): RequestedSource {
  if (access.privileged !== 'allow') return requested;
  const path = `/${cleanPath(requested.path, requested.named).join('/')}`;
  if (contains(paths.kata, path) || contains(paths.state, path)) return requested;
  if (access.paths.some((each) => contains(each.path, path))) return requested;
  try {
    return { ...requested, path: realpathSync(path) };
  } catch (error) {
    throw unreachable(requested, error);
  }
}

function open(place: SourcePlace, requested: RequestedSource, syscalls: Syscalls): Descriptor {
  try {
    // A path that the configuration lists may be a file.
    const itself = place.below === '' ? realpathSync(place.base) : undefined;
    const directory = Directory.open(syscalls, itself === undefined ? place.base : dirname(itself));
    try {
      return directory.place(itself === undefined ? place.below : basename(itself));
    } finally {
      directory.close();
    }
  } catch (error) {
    if (error instanceof UnsafePathError)
      throw new GuestError('refused', `${requested.named}: ${error.message}`, { cause: error });
    throw unreachable(requested, error);
  }
}

/** Names the source in the errors of paths that do not exist, or that the agent may not follow, as `/proc/1/root`. */
function unreachable({ named, path }: RequestedSource, cause: unknown): unknown {
  if (hasCode(cause, 'ENOENT', 'ENOTDIR', 'ELOOP'))
    return new GuestError('invalid', `${named} ${quotedPath(path)} does not exist`, { cause });
  if (hasCode(cause, 'EACCES', 'EPERM'))
    return new GuestError('refused', `${named} ${quotedPath(path)} is not accessible to the agent`, {
      cause,
    });
  return cause;
}

/** File systems that hold data, by statfs(2) magic number (include/uapi/linux/magic.h). */
const dataFileSystems: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // xfs
  0x9123683e, // btrfs
  0xe0f5e1e2, // erofs
  0x73717368, // squashfs
  0x01021994, // tmpfs
  0x858458f6, // ramfs
  0x958458f6, // hugetlbfs
  0x794c7630, // overlayfs
  0x65735546, // fuse, virtiofs
  0x01021997, // 9p
]);

function refuseKernelInterface(fileSystem: number, { named, path }: RequestedSource): void {
  if (dataFileSystems.has(fileSystem)) return;
  throw new GuestError(
    'refused',
    `${named} ${quotedPath(path)} is on a file system of type 0x${fileSystem.toString(16)}, which is not one for data`,
  );
}

/** An entry of the mount table. */
interface GuestMount {
  readonly target: string;
  readonly type: string;
}

/**
 * Reports whether a container with this source could get evidence in the guest's name: from the attestation agent, from configfs
 * (configfs-tsm makes reports over any bytes), or from a device of /dev. A directory counts if it has one of them below it, now or
 * later. Nodes of attestation devices are known by `isEvidence`.
 *
 * @param path absolute and clean.
 * @param mounts the mount table: configfs and devtmpfs may have other mount points than the usual ones.
 */
export function givesEvidence(path: string, mounts: readonly GuestMount[]): boolean {
  const mountPoints = (type: string): readonly string[] =>
    mounts.filter((mount) => mount.type === type).map(({ target }) => target);
  const whole = ['/sys/kernel/config', attestationAgentDirectory, ...mountPoints('configfs')];
  // Most files of /dev give no evidence: /dev/shm, /dev/fuse.
  const parents = ['/dev', ...mountPoints('devtmpfs')];
  return (
    whole.some((place) => contains(path, place) || contains(place, path)) ||
    parents.some((place) => contains(path, place))
  );
}
