import { fstatSync, realpathSync, statfsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { Descriptor, Directory, hasCode, type Syscalls, UnsafePathError } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { cleanPath, contains, quoted } from './clean-path.js';
import type { SourceUse, UsedSource } from './other-containers.js';
import { type RequestedSource, type SourcePlace, type SourceRules, sourcePlace } from './source-place.js';

/** A source that was resolved once: what is done with it is done with this descriptor. */
export interface OpenSource extends SourcePlace {
  readonly descriptor: Descriptor;
  readonly isDirectory: boolean;
  readonly isDevice: boolean;
}

/**
 * Opens what a request names as a source, for its name alone (O_PATH): below its base no link is followed and nothing leads
 * out. Refused are places by `sourcePlace`, and by what is found: file systems that are the kernel's interfaces, and devices
 * that the configuration does not name. The caller closes the descriptor.
 */
export function openSource(requested: RequestedSource, rules: SourceRules, syscalls: Syscalls): OpenSource {
  const place = sourcePlace(withGuestLinks(requested, rules), rules);
  const { named, path } = requested;
  const descriptor = open(place, requested, syscalls);
  try {
    const stat = fstatSync(descriptor.fd);
    const isDevice = stat.isCharacterDevice() || stat.isBlockDevice();
    if (place.kind !== 'guest') {
      const isExpected = place.kind === 'kernel' || isDevice === (place.kind === 'device');
      if (!isExpected || stat.isBlockDevice())
        throw new GuestError(
          'refused',
          `${named} ${quoted(path)} ${isDevice ? 'is a device' : 'is no device'}`,
        );
      if (place.kind === 'kata' || place.kind === 'listed') refuseKernelInterface(descriptor, requested);
    }
    return { ...place, descriptor, isDirectory: stat.isDirectory(), isDevice };
  } catch (error) {
    descriptor.close();
    throw error;
  }
}

/** What is kept of a source. `use`: what it is for, if it lies in Kata's directory. */
export function usedSource({ path, kind, isDirectory }: OpenSource, use: SourceUse): UsedSource {
  return { path, use: kind === 'kata' ? use : 'guest', isDirectory };
}

/** A privileged container may name a place of the guest through the guest's own links, as `/var/run`: they are resolved here. */
function withGuestLinks(requested: RequestedSource, { paths, access }: SourceRules): RequestedSource {
  if (access.privileged !== 'allow') return requested;
  const path = `/${cleanPath(requested.path, requested.named).join('/')}`;
  if (contains(paths.kata, path) || contains(paths.state, path)) return requested;
  if (access.paths.some((each) => contains(each.path, path))) return requested;
  try {
    return { ...requested, path: realpathSync(path) };
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw absent(requested, error);
    throw error;
  }
}

function open(place: SourcePlace, requested: RequestedSource, syscalls: Syscalls): Descriptor {
  try {
    // What the configuration lists by its own path may be a file.
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
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) throw absent(requested, error);
    throw error;
  }
}

function absent({ named, path }: RequestedSource, cause: unknown): GuestError {
  return new GuestError('invalid', `${named} ${quoted(path)} is not there`, { cause });
}

/** File systems that hold data (include/uapi/linux/magic.h), by the number that statfs(2) tells. */
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

function refuseKernelInterface(descriptor: Descriptor, { named, path }: RequestedSource): void {
  const { type } = statfsSync(`/proc/self/fd/${descriptor.fd}`);
  if (dataFileSystems.has(type)) return;
  throw new GuestError(
    'refused',
    `${named} ${quoted(path)} is on file system 0x${type.toString(16)}, which is none that holds a workload's data`,
  );
}
