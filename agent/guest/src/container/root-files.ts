import { Directory, hasCode, type Syscalls, UnsafePathError } from '@kata-agent/linux';
import { GuestError } from '../error/guest-error.js';

interface InRoot {
  readonly rootfs: string;
  readonly path: string;
}

declare module '../media/host-media.js' {
  interface MediaTasks {
    readonly checkKernelPlaces: (args: InRoot) => void;
    readonly hasRegularFile: (args: InRoot) => boolean;
  }
}

/** Refuses links and files where the OCI runtime mounts kernel file systems and creates devices: it follows links. */
export function checkKernelPlaces(rootfs: string, path: string, syscalls: Syscalls): void {
  const root = Directory.open(syscalls, rootfs);
  try {
    for (const name of ['dev', 'proc', 'sys']) {
      if (root.stat(name)?.isDirectory() === false)
        throw new GuestError(
          'refused',
          `/${name} of the root ${JSON.stringify(path)} is a link or a file; help: make it a directory in the image`,
        );
    }
  } finally {
    root.close();
  }
}

/** Reports whether a path of a root leads to a regular file without links. */
export function hasRegularFile(rootfs: string, path: string, syscalls: Syscalls): boolean {
  const root = Directory.open(syscalls, rootfs);
  try {
    return root.stat(path)?.isFile() === true;
  } catch (error) {
    if (error instanceof UnsafePathError || hasCode(error, 'ENOTDIR')) return false;
    throw error;
  } finally {
    root.close();
  }
}
