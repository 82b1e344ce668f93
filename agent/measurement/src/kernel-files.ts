import { closeSync, constants, mkdirSync, openSync, readFileSync, rmdirSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

/**
 * Files and directories of sysfs and configfs, where access has effects: writing to a register extends it, and making a
 * directory creates a request. An interface, so that tests can replace the kernel. Errors are those of the system
 * calls.
 */
export interface KernelFiles {
  read(path: string): Uint8Array;
  /** Reads without stopping this thread: the kernel may have to wait for the host. */
  readLater(path: string): Promise<Uint8Array>;
  /** Writes at offset 0 in one call. */
  write(path: string, bytes: Uint8Array): void;
  makeDirectory(path: string): void;
  removeDirectory(path: string): void;
}

export const kernelFiles: KernelFiles = {
  read: (path) => new Uint8Array(readFileSync(path)),
  readLater: async (path) => new Uint8Array(await readFile(path)),
  write: (path, bytes) => {
    const descriptor = openSync(path, constants.O_WRONLY);
    try {
      const written = writeSync(descriptor, bytes, 0, bytes.length, 0);
      if (written !== bytes.length) throw new Error(`${path} took ${written} of ${bytes.length} bytes`);
    } finally {
      closeSync(descriptor);
    }
  },
  makeDirectory: (path) => mkdirSync(path),
  removeDirectory: (path) => rmdirSync(path),
};
