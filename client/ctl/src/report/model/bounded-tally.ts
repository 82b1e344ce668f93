/**
 * Entries by key, at most `limit` of them: what a log names can be as many as a hostile caller likes. Keys beyond the limit are only
 * counted.
 */
export class BoundedTally<Entry> {
  readonly #entries = new Map<string, Entry>();
  readonly #limit: number;
  #beyond = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Returns the entry of a key, made by `create` if it is new; undefined if there is no space for it. */
  entry(key: readonly (string | undefined)[], create: () => Entry): Entry | undefined {
    const text = JSON.stringify(key);
    const known = this.#entries.get(text);
    if (known !== undefined) return known;
    if (this.#entries.size >= this.#limit) {
      this.#beyond += 1;
      return undefined;
    }
    const entry = create();
    this.#entries.set(text, entry);
    return entry;
  }

  /** In the order in which their keys came. */
  get entries(): readonly Entry[] {
    return [...this.#entries.values()];
  }

  /** How often there was no space. */
  get beyond(): number {
    return this.#beyond;
  }
}
