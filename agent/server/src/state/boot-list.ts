import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { readIfThere, replaceFile } from '@kata-agent/base';

/** A list of texts that a file in the state directory keeps for the agents of one boot: `{"bootId": …, KEY: […]}`. */
export class BootList {
  readonly #file: string;
  readonly #bootId: string;
  readonly #key: string;

  constructor(file: string, bootId: string, key: string) {
    this.#file = file;
    this.#bootId = bootId;
    this.#key = key;
  }

  /** Returns the list; empty: there is no file, or it is of another boot. Throws an Error if the file is invalid. */
  read(): readonly string[] {
    const text = readIfThere(this.#file);
    if (text === undefined) return [];
    const { bootId, list } = this.#parse(text.toString());
    return bootId === this.#bootId ? list : [];
  }

  /** Replaces the list, as a whole or not at all. Throws errors of the file system. */
  write(list: readonly string[]): void {
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o755 });
    const text = JSON.stringify({ bootId: this.#bootId, [this.#key]: list });
    replaceFile(this.#file, text, { mode: 0o600, survives: 'process' });
  }

  #parse(text: string): { readonly bootId: string; readonly list: readonly string[] } {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    const { bootId, [this.#key]: list } = Object(value) as Record<string, unknown>;
    if (typeof bootId !== 'string' || !Array.isArray(list) || !list.every((each) => typeof each === 'string'))
      throw new Error('not in the format of this file');
    return { bootId, list };
  }
}
