import { Socket } from 'node:net';
import { Open } from './constants.js';
import { Descriptor } from './descriptor.js';
import type { Syscalls } from './syscalls.js';

/** The two ends of a pipe(7), both close-on-exec: only a child that is handed one as its stdio has it. */
export interface Pipe {
  readonly read: Descriptor;
  readonly write: Descriptor;
}

export interface PipeOptions {
  /** Capacity in bytes, rounded up by the kernel to a power of two pages. 0 or absent: the kernel's own, 64 KiB. */
  readonly size?: number;
}

/** Throws EPERM when the size is above `/proc/sys/fs/pipe-max-size` and we are not root; no descriptor is left then. */
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

/** Closes what is still ours of it. */
export function closePipe(pipe: Pipe): void {
  pipe.read.close();
  pipe.write.close();
}

/**
 * A stream that reads this end and owns it from now on. It ends when the last writer has closed; it stops the writers
 * when nobody reads it.
 */
export function pipeReader(end: Descriptor): Socket {
  return own(end, { readable: true, writable: false });
}

/**
 * A stream that writes to this end and owns it from now on. `end()` is the reader's end of file. A reader that went away
 * is an EPIPE error of the next write.
 */
export function pipeWriter(end: Descriptor): Socket {
  return own(end, { readable: false, writable: true });
}

function own(end: Descriptor, direction: { readonly readable: boolean; readonly writable: boolean }): Socket {
  // Taken only once the socket exists: until then a failure leaves the descriptor with its present owner.
  const socket = new Socket({ fd: end.fd, ...direction });
  end.take();
  return socket;
}
