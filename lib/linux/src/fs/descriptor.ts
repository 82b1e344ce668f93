import type { Syscalls } from '../syscalls/syscalls.js';

/**
 * An owned file descriptor. The kernel reuses a closed number at once, so closing it twice would close an unrelated
 * file; this class prevents that. It is open until `close`, or until `take` passes the number to a new owner that
 * closes it, such as a `net.Socket`.
 */
export class Descriptor {
  readonly #syscalls: Syscalls;
  #fd: number | undefined;

  constructor(syscalls: Syscalls, fd: number) {
    this.#syscalls = syscalls;
    this.#fd = fd;
  }

  /** The number, for a call that borrows it. Throws after `close` and `take`. */
  get fd(): number {
    if (this.#fd === undefined) throw new Error('the descriptor was already closed or taken');
    return this.#fd;
  }

  get open(): boolean {
    return this.#fd !== undefined;
  }

  /** Passes the number to a new owner. Throws after `close` and `take`. */
  take(): number {
    const fd = this.fd;
    this.#fd = undefined;
    return fd;
  }

  /** Closes the descriptor. Safe to call more than once. */
  close(): void {
    if (this.#fd !== undefined) this.#syscalls.close(this.take());
  }

  /** Duplicates the descriptor; the duplicate has its own owner. */
  duplicate(): Descriptor {
    return new Descriptor(this.#syscalls, this.#syscalls.duplicate(this.fd));
  }
}
