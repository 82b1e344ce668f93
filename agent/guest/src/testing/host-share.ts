import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadSyscalls, Unmount } from '@kata-agent/linux';

/** Why there can be no share here. */
export const noShare: string | false = existsSync('/dev/fuse') ? false : 'needs /dev/fuse';

/**
 * A share of a host that answers when the test says so: any name is a directory, names that end with `disk` are files. While it holds,
 * lookups and opens of names that begin with `hangs`, and reads, are not answered.
 */
export class HostShare {
  readonly #server: ChildProcess;
  readonly #mountPoint: string;

  private constructor(server: ChildProcess, mountPoint: string) {
    this.#server = server;
    this.#mountPoint = mountPoint;
  }

  /** Mounts it. `content`: a file with what `disk` has. */
  static async mount(mountPoint: string, content = '/dev/null'): Promise<HostShare> {
    const program = fileURLToPath(new URL('share-server.js', import.meta.url));
    const server = fork(program, [mountPoint, content], { execArgv: [] });
    await once(server, 'message');
    return new HostShare(server, mountPoint);
  }

  /** Resolves when it holds. */
  hold(): Promise<void> {
    return this.#tell('hold');
  }

  answer(): Promise<void> {
    return this.#tell('answer');
  }

  async #tell(message: 'hold' | 'answer'): Promise<void> {
    const told = once(this.#server, 'message');
    this.#server.send(message);
    await told;
  }

  /** Ends it, also if calls wait for it: they fail. */
  async remove(): Promise<void> {
    const ended = once(this.#server, 'exit');
    this.#server.kill('SIGKILL');
    await ended;
    loadSyscalls().umount2(this.#mountPoint, Unmount.Detach);
  }
}
