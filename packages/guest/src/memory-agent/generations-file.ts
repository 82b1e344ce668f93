import { mkdirSync, openSync, read, rmdirSync, write } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { mount, type Syscalls, Unmount } from '@kata-agent/linux';
import type { GenerationsFile } from './generations.js';

const readAt = promisify(read);
const writeAt = promisify(write);

/**
 * Opens debugfs' `lru_gen`, for as long as the agent lives. The file system itself is gone at once: it shows and changes
 * a lot of the kernel, and nothing else in the guest is to come upon it. Throws where the kernel was built without it, or
 * is locked down. `state`: a directory of ours.
 */
export function openGenerationsFile(syscalls: Syscalls, state: string): GenerationsFile {
  const place = join(state, 'debugfs');
  mkdirSync(place, { recursive: true, mode: 0o700 });
  try {
    const options = ['nosuid', 'nodev', 'noexec'];
    mount(syscalls, { source: 'debugfs', target: place, type: 'debugfs', options });
    try {
      return fileOf(openSync(join(place, 'lru_gen'), 'r+'));
    } finally {
      syscalls.umount2(place, Unmount.Detach | Unmount.NoFollow);
    }
  } finally {
    rmdirSync(place);
  }
}

/** In threads of libuv's, since the kernel looks through page tables in the write(2). */
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
      const words = Buffer.from(command);
      await writeAt(fd, words, 0, words.length, null);
    },
  };
}
