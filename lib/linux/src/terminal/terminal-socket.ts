import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Socket } from '../syscalls/constants.js';
import { Descriptor } from '../fs/descriptor.js';
import { hasCode } from '../syscalls/syscall-error.js';
import type { Syscalls } from '../syscalls/syscalls.js';
import { unixSocketAddress } from '../socket/unix-socket.js';

/**
 * The `--console-socket` of an OCI runtime. The runtime connects and sends the master of the container's terminal by
 * SCM_RIGHTS before its `create` or `exec --detach` returns (github.com/opencontainers/runc/docs/terminals.md). So it
 * is opened before the runtime starts and read after it has exited, without waiting.
 */
export class TerminalSocket {
  /** The path to pass to the runtime. */
  readonly path: string;
  readonly #syscalls: Syscalls;
  readonly #directory: string;
  readonly #listener: Descriptor;

  private constructor(syscalls: Syscalls, directory: string, listener: Descriptor) {
    this.#syscalls = syscalls;
    this.#directory = directory;
    this.#listener = listener;
    this.path = socketPath(directory);
  }

  /**
   * Listens in a new directory with mode 0700 below `parent`, which must be short: a socket's path has at most 107
   * bytes.
   */
  static listen(syscalls: Syscalls, parent: string): TerminalSocket {
    const listener = new Descriptor(
      syscalls,
      syscalls.socket(Socket.Unix, Socket.Stream | Socket.NonBlock | Socket.CloseOnExec, 0),
    );
    let directory: string | undefined;
    try {
      directory = mkdtempSync(join(parent, 'tty-'));
      const path = socketPath(directory);
      syscalls.bind(listener.fd, unixSocketAddress({ kind: 'path', path }), path);
      syscalls.listen(listener.fd, 1);
      return new TerminalSocket(syscalls, directory, listener);
    } catch (error) {
      listener.close();
      if (directory !== undefined) rmSync(directory, { recursive: true });
      throw error;
    }
  }

  /** Returns the terminal's master. Throws when the runtime has sent none or more than one. */
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

  /** Closes the socket. Safe to call more than once. */
  close(): void {
    this.#listener.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function socketPath(directory: string): string {
  return join(directory, 's');
}
