import { Open } from '../syscalls/constants.js';
import { SyscallError } from '../syscalls/syscall-error.js';
import type { Syscalls } from '../syscalls/syscalls.js';
import { Descriptor } from './descriptor.js';
import { pipeCalls } from './pipe-calls.js';

/** The two ends of a pipe(7), both close-on-exec: only a child that gets one as its stdio inherits it. */
export interface Pipe {
  readonly read: Descriptor;
  readonly write: Descriptor;
}

export interface PipeOptions {
  /** Capacity in bytes, rounded up by the kernel to a power of two pages. 0 or absent: the kernel's default, 64 KiB. */
  readonly size?: number;
}

/** A pipe that another process has open. */
export interface PipeAt {
  readonly path: string;
  readonly flags: number;
  /** The owner of its other end: `pipeCalls` limits its calls. */
  readonly owner: string;
  readonly milliseconds: number;
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

/** Closes the ends that were not taken. Only for a pipe that no other process has had; otherwise `closePipeEnd`. */
export function closePipe(pipe: Pipe): void {
  pipe.read.close();
  pipe.write.close();
}

/** Closes an end that another process may hold locked (`pipeCalls`), if it was not taken. */
export function closePipeEnd(end: Descriptor, owner: string): void {
  if (end.open) pipeCalls.close(owner, end.take());
}

/**
 * Opens an end of a pipe that another process has open, at its path in procfs. Rejects with the error of open(2), and with
 * ETIMEDOUT if a process holds the lock of the pipe for so long; what is opened later is closed.
 *
 * @param flags O_NONBLOCK among them: without a process at the other end, open(2) would wait for one.
 */
export function openPipeEnd(
  syscalls: Syscalls,
  { path, flags, owner, milliseconds }: PipeAt,
): Promise<Descriptor> {
  return new Promise((resolve, reject) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      reject(SyscallError.named('open', 'ETIMEDOUT', path));
    }, milliseconds);
    pipeCalls.open(owner, path, flags, (error, fd) => {
      clearTimeout(timer);
      if (error !== null) reject(error);
      else if (late) pipeCalls.close(owner, fd);
      else resolve(new Descriptor(syscalls, fd));
    });
  });
}
