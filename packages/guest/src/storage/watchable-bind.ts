import { basename, dirname, join } from 'node:path';
import { Directory, mounts } from '@kata-agent/linux';
import type { Storage } from '../actions.js';
import { GuestError } from '../guest-error.js';
import { isPassing, Mirror, TooLargeToMirror } from './mirror.js';
import type { OpenSource } from '../source/open-source.js';
import { bindAt, openPlace } from './mount-point.js';
import { removeAside } from './remove-tree.js';
import type { StorageContext, StorageDriver } from './storage-driver.js';

/** How often it is looked for changes (Kata 4.1, src/agent/src/watcher.rs). */
const intervalMs = 2_000;

/** One with too much in it is looked at less and less often, up to this pause. */
const maxPauseMs = 64_000;

/** The folder of the runtimes that watched mounts lie in. It is shared by the host and read-only: memory goes over it. */
const watchable = 'watchable';

/**
 * A folder of the host that changes, as a configmap: a shared file system gives no notice of it, so it is copied, and
 * looked at every two seconds. One with too much in it is mounted as it is.
 */
export const watchableBind: StorageDriver = {
  name: 'watchable-bind',
  ofPod: false,
  async prepare(storage, context) {
    const parent = dirname(storage.mountPoint);
    if (basename(parent) !== watchable) {
      const place = JSON.stringify(storage.mountPoint.slice(0, 150));
      throw new GuestError(
        'invalid',
        `mount point ${place} of watchable-bind is not in a folder "${watchable}"`,
      );
    }
    await context.need(memoryAt(parent));
    const source = openWatched(storage, context);
    if (!source.isDirectory) {
      bindAt(source, storage.options, context);
      return;
    }
    try {
      await watch(source, storage, context);
    } catch (error) {
      if (!(error instanceof TooLargeToMirror)) throw error;
      context.log('info', `${storage.source} is not watched but mounted as it is: ${error.message}`);
      bindAt(openWatched(storage, context), storage.options, context);
    }
  },
  async resume(storage, context) {
    // One that is too large, or a file, is mounted as it is.
    if (mounts().some(({ target }) => target === storage.mountPoint)) return;
    await watch(openWatched(storage, context), storage, context, { adopt: true });
  },
};

function memoryAt(mountPoint: string): Storage {
  const options = ['mode=755', 'size=64m'];
  return {
    driver: 'ephemeral',
    driverOptions: [],
    source: 'tmpfs',
    fstype: 'tmpfs',
    options,
    mountPoint,
    shared: false,
  };
}

function openWatched(storage: Storage, context: StorageContext): OpenSource {
  return context.open(storage.source, 'source of a watchable-bind storage');
}

/** Follows the directory that was opened, whatever has its name later. Closes it in the end. */
async function watch(
  { descriptor }: OpenSource,
  storage: Storage,
  context: StorageContext,
  { adopt = false }: { readonly adopt?: boolean } = {},
): Promise<void> {
  const { made, syscalls } = context;
  const from = Directory.of(syscalls, descriptor);
  made.push(`source ${storage.source}`, () => from.close());
  const to = openPlace(context);
  made.push(`copies in ${storage.mountPoint}`, async () => {
    to.close();
    await removeAside(join(context.paths.kata, context.place), context);
  });
  const follower = new Follower(storage.source, from, to, context);
  if (adopt) await follower.adopt();
  await follower.look();
  made.push(`watch of ${storage.source}`, () => follower.stop());
  follower.start();
}

/** Looks at a folder every two seconds, or less often when there is too much in it. */
class Follower {
  /** For messages. */
  readonly #source: string;
  readonly #from: Directory;
  readonly #to: Directory;
  readonly #context: StorageContext;
  readonly #mirror: Mirror = new Mirror();
  #timer: NodeJS.Timeout | undefined;
  #busy: Promise<void> | undefined;
  #stopped = false;
  #toldOf = '';

  constructor(source: string, from: Directory, to: Directory, context: StorageContext) {
    this.#source = source;
    this.#from = from;
    this.#to = to;
    this.#context = context;
  }

  /** What is there is an earlier agent's. */
  async adopt(): Promise<void> {
    await this.#mirror.adopt(this.#to);
  }

  async look(): Promise<void> {
    try {
      await this.#mirror.update(this.#from, this.#to);
      this.#toldOf = '';
    } catch (error) {
      if (!isPassing(error)) throw error;
    }
  }

  start(pauseMs: number = intervalMs): void {
    this.#timer = setTimeout(() => {
      this.#busy = this.look()
        .then(() => intervalMs)
        .catch((error: Error) => {
          this.#tell(error);
          return error instanceof TooLargeToMirror ? Math.min(2 * pauseMs, maxPauseMs) : intervalMs;
        })
        .then((nextPauseMs) => {
          if (!this.#stopped) this.start(nextPauseMs);
        });
    }, pauseMs).unref();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#busy;
  }

  /** Once for each kind of trouble, not every two seconds. */
  #tell({ message }: Error): void {
    if (message !== this.#toldOf)
      this.#context.log('warn', `${this.#source} cannot be followed now: ${message}`);
    this.#toldOf = message;
  }
}
