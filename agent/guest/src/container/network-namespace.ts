import { fstatSync, openSync, realpathSync, statfsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import {
  Descriptor,
  Directory,
  hasCode,
  type Syscalls,
  UnsafePathError,
  visitNamespace,
} from '@kata-agent/linux';
import type { SysctlNamespaces } from './sysctl-changes.js';
import { GuestError } from '../guest-error.js';
import { quotedPath } from '../quoted.js';
import { cleanPath } from '../paths/clean-path.js';

/** The magic number of the file system of namespace files (include/uapi/linux/magic.h). */
const nsfsMagic = 0x6e736673;

/** A network namespace that a container joins, opened once: path and file can change afterwards. */
export interface NetworkNamespace {
  readonly descriptor: Descriptor;
  /** A path of the descriptor for other processes, while it is open. */
  readonly path: string;
}

/**
 * Opens a network namespace of the guest that a request names and `requestedNetwork` has admitted. Only a file of the
 * guest's namespace file system (nsfs), of that type, is accepted: anything else would be joined or opened by the OCI
 * runtime. The caller closes the descriptor.
 *
 * @throws GuestError `invalid` if it does not exist or is not a network namespace.
 */
export function openNetworkNamespace(path: string, syscalls: Syscalls): NetworkNamespace {
  const place = open(path, syscalls);
  try {
    const own = `/proc/self/fd/${place.fd}`;
    if (statfsSync(own).type !== nsfsMagic) throw notOne(path);
    const descriptor = new Descriptor(syscalls, openSync(own, 'r'));
    if (syscalls.isNamespaceOf(descriptor.fd, 'net'))
      return { descriptor, path: `/proc/${process.pid}/fd/${descriptor.fd}` };
    descriptor.close();
    throw notOne(path);
  } finally {
    place.close();
  }
}

/** Returns the namespace for `net.*` sysctls: this thread enters it to write them. */
export function sysctlsOfNetwork(syscalls: Syscalls, { descriptor }: NetworkNamespace): SysctlNamespaces {
  return {
    identity: () => `net:${fstatSync(descriptor.fd, { bigint: true }).ino}`,
    within: (_, task) => visitNamespace(syscalls, 'net', descriptor.fd, task),
  };
}

/** Opens with O_PATH. Links of the guest above the file, such as /var/run, are followed; the file itself is no link. */
function open(path: string, syscalls: Syscalls): Descriptor {
  const clean = `/${cleanPath(path, 'network namespace').join('/')}`;
  try {
    const directory = Directory.open(syscalls, realpathSync(dirname(clean)));
    try {
      return directory.place(basename(clean));
    } finally {
      directory.close();
    }
  } catch (error) {
    if (error instanceof UnsafePathError)
      throw new GuestError('refused', `network namespace: ${error.message}`, { cause: error });
    if (!hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error;
    throw new GuestError('invalid', `network namespace ${quotedPath(path)} does not exist`, { cause: error });
  }
}

function notOne(path: string): GuestError {
  return new GuestError('invalid', `${quotedPath(path)} is not a network namespace`);
}
