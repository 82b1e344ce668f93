import { Semaphore } from '@kata-agent/base';
import { readOwnFile, StoreError, writeFileAtomically } from './own-file.js';

/** A revocation as `RevokePeer` takes it: either a peer, or the serial number and issuer of one certificate. */
export interface RevokedPeer {
  readonly peer: string;
  readonly serial: string;
  readonly issuer: string;
}

/** A revocation that is sent again to each guest of an entry. */
export interface Revocation extends RevokedPeer {
  /** The `[[guest]]` entry. Guests have a new key, and so a new ID, with each boot. */
  readonly entry: string;
  /** RFC 3339. */
  readonly at: string;
  /** SHA-256 of the name of the operator who has revoked, in hex. */
  readonly by: string;
}

/** A guest accepts no more. */
export const maxRevocations = 4096;
/** One operator cannot take the places of others: they could not revoke it. */
const maxOfOperator = 1024;

/** There is no place for one more. */
export class TooManyRevocations extends StoreError {}

/**
 * Throws TooManyRevocations if there is no place for one more.
 *
 * @param own All of its entry.
 */
export function checkPlace(
  own: readonly Revocation[],
  { entry, by }: Pick<Revocation, 'entry' | 'by'>,
): void {
  const help = 'replace the CA of its operators, or revoke a pattern that includes others';
  if (own.length >= maxRevocations)
    throw new TooManyRevocations(
      `[[guest]] "${entry}" has ${maxRevocations} revocations already, and its guests accept no more`,
      help,
    );
  if (own.filter((each) => each.by === by).length >= maxOfOperator)
    throw new TooManyRevocations(
      `you have made ${maxOfOperator} revocations of [[guest]] "${entry}" already`,
      help,
    );
}

/** The revocations of a realm. They only grow. */
export interface RevocationList {
  list(entry: string): readonly Revocation[];
  /** Resolves when `list` has what was added by any replica before this call. */
  settled(): Promise<void>;
  /** Throws TooManyRevocations if `add` would. */
  check(revocation: Revocation): void;
  /**
   * Adds a revocation; resolves when it is durable. An equal one takes no further place. Throws TooManyRevocations, or the
   * system's error.
   */
  add(revocation: Revocation): Promise<void>;
}

/** Revocations in a file. They only grow: nothing takes one back but an edit of the file while no realm runs. */
export class Revocations implements RevocationList {
  readonly #path: string;
  #all: readonly Revocation[];
  readonly #writes = new Semaphore(1);

  private constructor(path: string, all: readonly Revocation[]) {
    this.#path = path;
    this.#all = all;
  }

  /** Reads the file, if there is one. Throws a StoreError if it is not valid. */
  static async open(path: string): Promise<Revocations> {
    const text = (await readOwnFile(path))?.toString();
    return new Revocations(path, text === undefined ? [] : parse(path, text));
  }

  get all(): readonly Revocation[] {
    return this.#all;
  }

  list(entry: string): readonly Revocation[] {
    return this.#all.filter((revocation) => revocation.entry === entry);
  }

  async settled(): Promise<void> {}

  check(revocation: Revocation): void {
    if (!this.#has(revocation)) checkPlace(this.list(revocation.entry), revocation);
  }

  async add(revocation: Revocation): Promise<void> {
    await this.#writes.run(async () => {
      if (this.#has(revocation)) return;
      this.check(revocation);
      await this.#write([...this.#all, revocation]);
    });
  }

  /** Adds those that are new, in one write and without a limit: the acceptor has counted. */
  async addAll(revocations: readonly Revocation[]): Promise<void> {
    await this.#writes.run(async () => {
      const known = new Set(this.#all.map(textOf));
      const added = revocations.filter((revocation) => !known.has(textOf(revocation)));
      if (added.length > 0) await this.#write([...this.#all, ...added]);
    });
  }

  #has(revocation: Revocation): boolean {
    const text = textOf(revocation);
    return this.list(revocation.entry).some((each) => textOf(each) === text);
  }

  async #write(all: readonly Revocation[]): Promise<void> {
    await writeFileAtomically(this.#path, `${JSON.stringify({ version: 1, revocations: all }, null, 1)}\n`);
    this.#all = all;
  }
}

/** What makes two revocations one: not when they were added. */
function textOf({ entry, peer, serial, issuer }: Revocation): string {
  return JSON.stringify([entry, peer, serial, issuer]);
}

function parse(path: string, text: string): readonly Revocation[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const { version, revocations } = (value ?? {}) as { version?: unknown; revocations?: unknown };
  if (version === 1 && Array.isArray(revocations) && revocations.every(isRevocation)) return revocations;
  throw new StoreError(
    `${path} is not a file of revocations`,
    'restore it from a copy: without it, guests would accept again who was revoked',
  );
}

function isRevocation(value: unknown): value is Revocation {
  const given = (value ?? {}) as Readonly<Record<string, unknown>>;
  return ['entry', 'peer', 'serial', 'issuer', 'at', 'by'].every((name) => typeof given[name] === 'string');
}
