import { mkdirSync, openSync, read, rmdirSync, write } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { mount, type Syscalls, Unmount } from '@kata-agent/linux';
import type { GenerationsFile } from './generations.js';

const readAt = promisify(read);
const writeAt = promisify(write);

/**
 * Opens `lru_gen` of debugfs. The file stays open as long as the agent runs. debugfs itself is unmounted at once: it exposes
 * much of the kernel, and nothing else in the guest needs it. Throws when the kernel was built without debugfs or
 * `lru_gen`, or is locked down. `state`: the agent's state directory.
 */
export function openGenerationsFile(syscalls: Syscalls, state: string): GenerationsFile {
  const mountPoint = join(state, 'debugfs');
  mkdirSync(mountPoint, { recursive: true, mode: 0o700 });
  try {
    const options = ['nosuid', 'nodev', 'noexec'];
    mount(syscalls, { source: 'debugfs', target: mountPoint, type: 'debugfs', options });
    try {
      return fileOf(openSync(join(mountPoint, 'lru_gen'), 'r+'));
    } finally {
      syscalls.umount2(mountPoint, Unmount.Detach | Unmount.NoFollow);
    }
  } finally {
    rmdirSync(mountPoint);
  }
}

/** Reads and writes in libuv's thread pool, since the kernel walks page tables within write(2). */
function fileOf(fd: number): GenerationsFile {
  return {
    async read() {
      const chunks: Buffer[] = [];
      for (let position = 0; ; ) {
        const { bytesRead, buffer } = await readAt(fd, Buffer.alloc(64 * 1024), 0, 64 * 1024, position);
        if (bytesRead === 0) return Buffer.concat(chunks).toString();
        chunks.push(buffer.subarray(0, bytesRead));
        position += bytesRead;
      }
    },
    async write(command) {
      const bytes = Buffer.from(command);
      await writeAt(fd, bytes, 0, bytes.length, null);
    },
  };
}
