import { Socket } from 'node:net';
import { Open } from '../syscalls/constants.js';
import { Descriptor } from './descriptor.js';
import type { Syscalls } from '../syscalls/syscalls.js';

/** The two ends of a pipe(7), both close-on-exec: only a child that gets one as its stdio inherits it. */
export interface Pipe {
  readonly read: Descriptor;
  readonly write: Descriptor;
}

export interface PipeOptions {
  /** Capacity in bytes, rounded up by the kernel to a power of two pages. 0 or absent: the kernel's default, 64 KiB. */
  readonly size?: number;
}

/**
 * Creates a pipe. Throws EPERM when the size exceeds `/proc/sys/fs/pipe-max-size` and the process is not root; no
 * descriptor leaks.
 */
export function createPipe(syscalls: Syscalls, options: PipeOptions = {}): Pipe {
  const [read, write] = syscalls.pipe2(Open.CloseOnExec);
  const pipe: Pipe = { read: new Descriptor(syscalls, read), write: new Descriptor(syscalls, write) };
  const { size = 0 } = options;
  if (size > 0) {
    try {
      syscalls.setPipeSize(read, size);
    } catch (error) {
      closePipe(pipe);
      throw error;
    }
  }
  return pipe;
}

/** Closes the ends that were not taken. */
export function closePipe(pipe: Pipe): void {
  pipe.read.close();
  pipe.write.close();
}

/**
 * Returns a stream that reads this end and owns it. It ends when the last writer has closed, and applies backpressure
 * to writers.
 */
export function pipeReader(end: Descriptor): Socket {
  return own(end, { readable: true, writable: false });
}

/**
 * Returns a stream that writes to this end and owns it. `end()` is end of file for the reader. If the reader has
 * closed, the next write fails with EPIPE.
 */
export function pipeWriter(end: Descriptor): Socket {
  return own(end, { readable: false, writable: true });
}

function own(end: Descriptor, direction: { readonly readable: boolean; readonly writable: boolean }): Socket {
  // Taken only after the socket exists: on an earlier failure the descriptor keeps its owner.
  const socket = new Socket({ fd: end.fd, ...direction });
  end.take();
  return socket;
}
