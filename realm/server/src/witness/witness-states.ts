import { join } from 'node:path';
import { Semaphore } from '@kata-agent/base';
import { makeDirectory } from '@kata-agent/audit';
import { parseCheckpoint, TextFormError, type TreeHead, type UnverifiedCheckpoint } from '@kata-agent/tlog';
import { readOwnFile, StoreError, writeFileAtomically } from '../store/own-file.js';

/** What a witness has cosigned last of an origin. */
interface WitnessState {
  /** Undefined: nothing. */
  readonly latest: TreeHead | undefined;
  /** The same as text, a signed note; undefined with `latest`. */
  readonly checkpoint: string | undefined;
  /** Two checkpoints that the log has signed, and that contradict each other; undefined: none are known. */
  readonly fork: string | undefined;
}

/** The state of one origin, while nobody else has it. */
export interface HeldState extends WitnessState {
  /** Stores a checkpoint with the cosignature, durably. When it throws, either it or the one before is stored. */
  cosigned(checkpoint: string): Promise<void>;
  /** Stores the evidence of a fork, durably. */
  forked(checkpoints: string): Promise<void>;
}

/**
 * What a witness has cosigned, by origin: `HEX.checkpoint`, and `HEX.fork` for a log that has forked. It is read for each request,
 * so that nothing that is in memory alone decides. A file that is lost lets the witness cosign a fork; one that is not valid does not.
 */
export class WitnessStates {
  readonly #directory: string;
  readonly #write: (path: string, text: string) => Promise<void>;
  /** Of the origins that have tasks. */
  readonly #tasks = new Map<string, Semaphore>();
  #isClosed = false;

  private constructor(directory: string, write: (path: string, text: string) => Promise<void>) {
    this.#directory = directory;
    this.#write = write;
  }

  /** Creates the directory if it is missing. Throws the system's error. `write`: for tests. */
  static async open(
    directory: string,
    write: (path: string, text: string) => Promise<void> = writeFileAtomically,
  ): Promise<WitnessStates> {
    await makeDirectory(directory);
    return new WitnessStates(directory, write);
  }

  /**
   * Gives the state of an origin to one task at a time, in the order of the calls. The name is that of an agent's log. Throws a
   * StoreError if a file is not valid, or the system's error.
   */
  async with<T>(origin: string, work: (state: HeldState) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw new Error('the realm ends');
    const tasks = this.#tasks.get(origin) ?? new Semaphore(1);
    this.#tasks.set(origin, tasks);
    try {
      return await tasks.run(async () => work(await this.#read(origin)));
    } finally {
      if (!tasks.isFull) this.#tasks.delete(origin);
    }
  }

  /** Resolves when all tasks have ended. There are no more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#tasks.values()].map((tasks) => tasks.run(async () => undefined)));
  }

  async #read(origin: string): Promise<HeldState> {
    const path = this.#pathOf(origin);
    const checkpoint = await textOf(`${path}.checkpoint`);
    const fork = await textOf(`${path}.fork`);
    return {
      latest: checkpoint === undefined ? undefined : headOf(`${path}.checkpoint`, origin, checkpoint),
      checkpoint,
      fork,
      cosigned: (text) => this.#write(`${path}.checkpoint`, text),
      forked: (text) => this.#write(`${path}.fork`, text),
    };
  }

  #pathOf(origin: string): string {
    const [, hex] = /^kata-agent\/([0-9a-f]{64})$/.exec(origin) ?? [];
    if (hex === undefined)
      throw new TypeError(`${JSON.stringify(origin)} is not the origin of an agent's log`);
    return join(this.#directory, hex);
  }
}

async function textOf(path: string): Promise<string | undefined> {
  return (await readOwnFile(path))?.toString();
}

function headOf(path: string, origin: string, text: string): TreeHead {
  let checkpoint: UnverifiedCheckpoint | undefined;
  try {
    checkpoint = parseCheckpoint(text);
  } catch (error) {
    if (!(error instanceof TextFormError)) throw error;
  }
  if (checkpoint?.origin === origin) return checkpoint.head;
  throw new StoreError(
    `${path} is not a checkpoint of ${origin}`,
    'something else has written to it: keep it, as evidence. Nothing of this log is cosigned any more',
  );
}
