import { readSync } from 'node:fs';
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { type LendingStream, lendingReads } from './lending-reads.js';
import { Open } from '../syscalls/constants.js';
import { Descriptor } from './descriptor.js';
import { hasCode } from '../syscalls/syscall-error.js';
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

/** The end of a pipe that is read. */
export interface PipeReader extends LendingStream {
  /**
   * While it is paused: lends what is in the pipe now, at most `max` bytes, without waiting for any. Lends none at the end of
   * file, which comes as `end` when it is resumed.
   */
  lendNow(max: number): void;
}

/**
 * Returns a stream that reads this end and owns it. It ends when the last writer has closed, and applies backpressure
 * to writers.
 */
export function pipeReader(end: Descriptor): PipeReader {
  const { fd } = end;
  let borrow: (bytes: Uint8Array) => void = () => undefined;
  const stream = lendingReads((onread) => own(end, { readable: true, writable: false, onread }));
  const lendTo = stream.lendTo.bind(stream);
  return Object.assign(stream, {
    lendTo: (take: (bytes: Uint8Array) => void): void => {
      borrow = take;
      lendTo(take);
    },
    lendNow: (max: number): void => {
      // The number can already be that of another file.
      if (stream.destroyed) return;
      const bytes = readNow(fd, max);
      if (bytes.length > 0) borrow(bytes);
    },
  });
}

/** Not that of `lendingReads`: bytes in it can be lent at the same time, to what reads a pipe for them. */
let buffer: Buffer | undefined;

/** Node.js has set O_NONBLOCK: an empty pipe is EAGAIN. */
function readNow(fd: number, max: number): Uint8Array {
  buffer ??= Buffer.allocUnsafeSlow(65_536);
  try {
    return buffer.subarray(0, readSync(fd, buffer, 0, Math.min(max, buffer.length), null));
  } catch (error) {
    if (hasCode(error, 'EAGAIN')) return buffer.subarray(0, 0);
    throw error;
  }
}

/**
 * Returns a stream that writes to this end and owns it. `end()` is end of file for the reader. If the reader has
 * closed, the next write fails with EPIPE.
 */
export function pipeWriter(end: Descriptor): Socket {
  return own(end, { readable: false, writable: true });
}

interface OwnOptions {
  readonly readable: boolean;
  readonly writable: boolean;
  readonly onread?: OnReadOpts;
}

function own(end: Descriptor, more: OwnOptions): Socket {
  // The types have `onread` only for net.connect(options).
  const options: SocketConstructorOpts & Pick<OwnOptions, 'onread'> = { fd: end.fd, ...more };
  // Taken only after the socket exists: on an earlier failure the descriptor keeps its owner.
  const socket = new Socket(options);
  end.take();
  return socket;
}
