import { basename, dirname, join } from 'node:path';
import { mounts } from '@kata-agent/linux';
import type { Storage } from '../../request/actions.js';
import { GuestError, TooLargeToMirror } from '../../guest-error.js';
import {
  type FileState,
  grownLimits,
  isGone,
  isLargeMirror,
  kataLimits,
  type MirrorLimits,
  type MirrorState,
} from './mirror.js';
import type { OpenSource } from '../../source/open-source.js';
import { bindAt, openFilePlace, openPlace } from '../mount-point.js';
import { removeAside } from '../../removal/remove-tree.js';
import type { StorageContext, StorageDriver } from './storage-driver.js';
import { quotedPath } from '../../quoted.js';

/** Interval between two comparisons (Kata 4.1, src/agent/src/watcher.rs). */
const intervalMs = 2_000;

/** Interval for a source that has grown above Kata's limits. */
const largeIntervalMs = 8_000;

/** The longest interval for a source that cannot be copied. */
const maxPauseMs = 64_000;

/** The runtimes' directory for watched mounts. The host shares it read-only: a tmpfs is mounted over it. */
const watchable = 'watchable';

/**
 * A directory or file of the host that changes, as a configmap: a shared file system gives no change notifications, so it
 * is copied, and compared every two seconds. A source that is above the limits at first is bind mounted as it is.
 */
export const watchableBind: StorageDriver = {
  name: 'watchable-bind',
  ofPod: false,
  mountPoints: ['shared/containers/watchable/*', 'shared/containers/passthrough/watchable/*'],
  async prepare(storage, context) {
    const parent = dirname(storage.mountPoint);
    if (basename(parent) !== watchable) {
      const place = quotedPath(storage.mountPoint);
      throw new GuestError(
        'invalid',
        `mount point ${place} of watchable-bind is not in a directory "${watchable}"`,
      );
    }
    await context.need(memoryAt(parent));
    const source = await openWatched(storage, context);
    // A FIFO would block its reader, and other types have no content to copy.
    if (!source.isDirectory && !source.isFile) {
      await bindAt(source, storage.options, context);
      return;
    }
    try {
      await watch(source, storage, context);
    } catch (error) {
      if (!(error instanceof TooLargeToMirror)) throw error;
      context.log('info', `${storage.source} is bind mounted and not copied: ${error.message}`);
      await bindAt(await openWatched(storage, context), storage.options, context);
    }
  },
  async resume(storage, context) {
    // A source above the limits is bind mounted.
    if (mounts().some(({ target }) => target === storage.mountPoint)) return;
    await watch(await openWatched(storage, context), storage, context, { adopt: true });
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

function openWatched(storage: Storage, context: StorageContext): Promise<OpenSource> {
  return context.open(storage.source, 'source of a watchable-bind storage');
}

/** A copy of a source that can be brought up to date. */
interface Copy {
  /** Throws TooLargeToMirror. */
  update(limits: MirrorLimits): Promise<void>;
  /** Continues with the copies of an earlier agent. */
  adopt(): Promise<void>;
  /** It is above `kataLimits`. */
  readonly isLarge: boolean;
}

/** Follows the opened directory or file, also after a rename. Closes it at the end. */
async function watch(
  source: OpenSource,
  storage: Storage,
  context: StorageContext,
  { adopt = false }: { readonly adopt?: boolean } = {},
): Promise<void> {
  const { made } = context;
  const copy = source.isDirectory
    ? await copyOfDirectory(source, context)
    : await copyOfFile(source, context);
  const follower = new Follower(storage.source, copy, context);
  if (adopt) await follower.adopt();
  await follower.compare(adopt ? grownLimits : kataLimits);
  made.push(`watch of ${storage.source}`, () => follower.stop());
  follower.start();
}

async function copyOfDirectory({ descriptor }: OpenSource, context: StorageContext): Promise<Copy> {
  const { media, made } = context;
  made.push('watched directory', () => descriptor.close());
  const to = await openPlace(context);
  removeCopy(to, context);
  let state: MirrorState = { known: new Map(), root: undefined };
  return {
    update: async (limits) => {
      state = await media.run('mirrorDirectory', { state, limits }, [descriptor.fd, to.fd]);
    },
    adopt: async () => {
      state = await media.run('listMirror', {}, [to.fd]);
    },
    get isLarge() {
      return isLargeMirror(state.known);
    },
  };
}

async function copyOfFile({ descriptor }: OpenSource, context: StorageContext): Promise<Copy> {
  const { media, made } = context;
  made.push('watched file', () => descriptor.close());
  const to = await openFilePlace(context);
  removeCopy(to, context);
  let known: FileState | undefined;
  return {
    update: async (limits) => {
      known = await media.run('mirrorFile', { known, limits }, [descriptor.fd, to.fd]);
    },
    // The first update writes it in full.
    adopt: () => Promise.resolve(),
    get isLarge() {
      return (known?.size ?? 0) > kataLimits.bytes;
    },
  };
}

function removeCopy(copy: { close(): void }, context: StorageContext): void {
  context.made.push(`copy at ${context.place}`, async () => {
    copy.close();
    await removeAside(join(context.paths.kata, context.place), context);
  });
}

/** Compares a source every two seconds, or less often if it is above the limits. */
class Follower {
  /** Path of the source, for messages. */
  readonly #source: string;
  readonly #copy: Copy;
  readonly #context: StorageContext;
  #timer: NodeJS.Timeout | undefined;
  #busy: Promise<void> | undefined;
  #stopped = false;
  #logged = '';

  constructor(source: string, copy: Copy, context: StorageContext) {
    this.#source = source;
    this.#copy = copy;
    this.#context = context;
  }

  async adopt(): Promise<void> {
    await this.#copy.adopt();
  }

  async compare(limits: MirrorLimits): Promise<void> {
    try {
      await this.#copy.update(limits);
      this.#logged = '';
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  start(pauseMs: number = intervalMs): void {
    this.#timer = setTimeout(() => {
      this.#busy = this.compare(grownLimits)
        .then(() => (this.#copy.isLarge ? largeIntervalMs : intervalMs))
        .catch((error: Error) => {
          this.#logOnce(error);
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

  /** Logs each kind of failure once, not every two seconds. */
  #logOnce({ message }: Error): void {
    if (message !== this.#logged) this.#context.log('warn', `${this.#source} cannot be copied: ${message}`);
    this.#logged = message;
  }
}
