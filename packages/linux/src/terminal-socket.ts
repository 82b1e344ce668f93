import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Socket } from './constants.js';
import { Descriptor } from './descriptor.js';
import { hasCode } from './syscall-error.js';
import type { Syscalls } from './syscalls.js';
import { unixSocketAddress } from './unix-address.js';

/**
 * The `--console-socket` of an OCI runtime: it connects and sends the master of the container's terminal by SCM_RIGHTS
 * before its `create` or `exec --detach` returns (github.com/opencontainers/runc/docs/terminals.md). So we listen
 * before, and take what lies ready after: nothing here waits.
 */
export class TerminalSocket {
  /** What to tell the runtime. */
  readonly path: string;
  readonly #syscalls: Syscalls;
  readonly #folder: string;
  readonly #listener: Descriptor;

  private constructor(syscalls: Syscalls, folder: string, listener: Descriptor) {
    this.#syscalls = syscalls;
    this.#folder = folder;
    this.#listener = listener;
    this.path = socketPath(folder);
  }

  /** Listens in a new directory, only ours (0700), below a short one: a socket's path has at most 107 bytes. */
  static listen(syscalls: Syscalls, parent: string): TerminalSocket {
    const listener = new Descriptor(
      syscalls,
      syscalls.socket(Socket.Unix, Socket.Stream | Socket.NonBlock | Socket.CloseOnExec, 0),
    );
    let folder: string | undefined;
    try {
      folder = mkdtempSync(join(parent, 'tty-'));
      const path = socketPath(folder);
      syscalls.bind(listener.fd, unixSocketAddress({ kind: 'path', path }), path);
      syscalls.listen(listener.fd, 1);
      return new TerminalSocket(syscalls, folder, listener);
    } catch (error) {
      listener.close();
      if (folder !== undefined) rmSync(folder, { recursive: true });
      throw error;
    }
  }

  /** The terminal's master. Throws when the runtime, having returned, sent none, or more than one. */
  receive(): Descriptor {
    let received: readonly number[] = [];
    try {
      const connection = new Descriptor(
        this.#syscalls,
        this.#syscalls.accept4(this.#listener.fd, Socket.NonBlock | Socket.CloseOnExec),
      );
      try {
        received = this.#syscalls.receiveDescriptors(connection.fd);
      } finally {
        connection.close();
      }
    } catch (error) {
      if (!hasCode(error, 'EAGAIN')) throw error;
      throw new Error('the OCI runtime sent no terminal over its console socket', { cause: error });
    }
    const descriptors = received.map((fd) => new Descriptor(this.#syscalls, fd));
    const [master, ...others] = descriptors;
    if (master !== undefined && others.length === 0) return master;
    for (const each of descriptors) each.close();
    throw new Error(
      `the OCI runtime sent ${descriptors.length} descriptors over its console socket, not one`,
    );
  }

  /** Once or more. */
  close(): void {
    this.#listener.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function socketPath(folder: string): string {
  return join(folder, 's');
}
