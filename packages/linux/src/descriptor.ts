import type { Syscalls } from './syscalls.js';

/**
 * A file descriptor with one owner. The kernel hands a closed number out again at once, so closing twice closes a
 * stranger's file; here that cannot happen. It is open until `close`, or until `take` gives the number to a new owner,
 * such as a `net.Socket`, that closes it itself.
 */
export class Descriptor {
  readonly #syscalls: Syscalls;
  #fd: number | undefined;

  constructor(syscalls: Syscalls, fd: number) {
    this.#syscalls = syscalls;
    this.#fd = fd;
  }

  /** The number, for a call that only borrows it. Throws after `close` and `take`. */
  get fd(): number {
    if (this.#fd === undefined) throw new Error('this descriptor was closed or given away before');
    return this.#fd;
  }

  get open(): boolean {
    return this.#fd !== undefined;
  }

  /** The number, for a new owner. Throws after `close` and `take`. */
  take(): number {
    const fd = this.fd;
    this.#fd = undefined;
    return fd;
  }

  /** Once or more: only the first one reaches the kernel. */
  close(): void {
    if (this.#fd !== undefined) this.#syscalls.close(this.take());
  }

  /** A second descriptor of the same open file, owned on its own. */
  duplicate(): Descriptor {
    return new Descriptor(this.#syscalls, this.#syscalls.duplicate(this.fd));
  }
}
