import { close, open, read, readdirSync, stat, write } from 'node:fs';
import { env } from 'node:process';
import { OwnerTurns, type Share } from './owner-turns.js';

/** Threads of the pool that are left to other files: as many as libuv makes where nobody asks for more. */
const others = 4;

/** Enough for seven owners whose calls all hang. A thread costs 25 µs when the pool is made, and 8 KiB. */
const threads = 32;

/** Of a pool that could not be enlarged. */
const small: Share = { total: 2, perOwner: 1 };

/** An owner has the pipes of its processes, three each. */
const large: Share = { total: threads - others, perOwner: 4 };

/**
 * Has libuv make a pool of more threads. Only before its first use: Node.js 20 itself uses it to load ES modules, so that a
 * program that is one needs `UV_THREADPOOL_SIZE` in its environment.
 */
export function enlargeThreadPool(): void {
  env['UV_THREADPOOL_SIZE'] ??= String(threads);
  stat('/', () => undefined);
}

/** What the kernel has returned: a length or a descriptor, or why not. */
type Done = (error: NodeJS.ErrnoException | null, result: number) => void;

/**
 * Calls on pipes whose other end a container has. Each waits for the lock of the pipe, which no O_NONBLOCK avoids, and a
 * process holds it as long as it likes: splice(2) from a socket into its standard output keeps it until the socket has
 * something, as does a write(2) from memory that has to come from a disk first. So they are made in the thread pool: read,
 * write, open, and close, which is why an end is never closed elsewhere. An owner has a few of its threads at most.
 *
 * epoll and dup(2) do not take the lock.
 */
class PipeCalls {
  readonly #turns: OwnerTurns = new OwnerTurns(() => this.#share());
  #measured: Share | undefined;

  /** Number of calls that have not returned. A process that ends while one hangs needs `Syscalls.exitNow`. */
  get running(): number {
    return this.#turns.running;
  }

  read(owner: string, fd: number, bytes: Uint8Array, done: Done): void {
    this.#call(owner, done, (returned) => read(fd, bytes, 0, bytes.length, null, returned));
  }

  write(owner: string, fd: number, bytes: Uint8Array, done: Done): void {
    this.#call(owner, done, (returned) => write(fd, bytes, 0, bytes.length, null, returned));
  }

  open(owner: string, path: string, flags: number, done: Done): void {
    this.#call(owner, done, (returned) => open(path, flags, returned));
  }

  close(owner: string, fd: number, done: () => void = () => undefined): void {
    this.#call(owner, done, (returned) => close(fd, (error) => returned(error, 0)));
  }

  #call(owner: string, done: Done, start: (returned: Done) => void): void {
    this.#turns.take(owner, (returned) => {
      start((error, result) => {
        returned();
        done(error, result);
      });
    });
  }

  /** libuv does not tell the size of its pool; without it a process of ours has far fewer threads. */
  #share(): Share {
    this.#measured ??= readdirSync('/proc/self/task').length > threads ? large : small;
    return this.#measured;
  }
}

/** Of this process, as the pool is. */
export const pipeCalls: PipeCalls = new PipeCalls();
