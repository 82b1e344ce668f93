import { closeSync, constants, mkdirSync, openSync, readFileSync, rmdirSync, writeSync } from 'node:fs';

/**
 * Files and folders of sysfs and configfs, which act when they are touched: a register hashes what is written to it, a
 * folder that is made is a request. Tests stand in for the kernel here. Errors are those of the system calls.
 */
export interface KernelFiles {
  read(path: string): Uint8Array;
  /** Writes at offset 0 in one call. */
  write(path: string, bytes: Uint8Array): void;
  makeFolder(path: string): void;
  removeFolder(path: string): void;
}

export const kernelFiles: KernelFiles = {
  read: (path) => new Uint8Array(readFileSync(path)),
  write: (path, bytes) => {
    const descriptor = openSync(path, constants.O_WRONLY);
    try {
      const written = writeSync(descriptor, bytes, 0, bytes.length, 0);
      if (written !== bytes.length) throw new Error(`${path} took ${written} of ${bytes.length} bytes`);
    } finally {
      closeSync(descriptor);
    }
  },
  makeFolder: (path) => mkdirSync(path),
  removeFolder: (path) => rmdirSync(path),
};
