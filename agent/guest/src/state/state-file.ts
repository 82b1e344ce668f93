import { readFileSync, rmSync } from 'node:fs';
import { replaceFile } from '@kata-agent/base';
import { hasCode } from '@kata-agent/linux';

/** Version of the content's format. A file of another version is not read. */
const format = 4;

interface Envelope<T> {
  readonly format: number;
  readonly value: T;
}

/**
 * A value of the agent's state, for its successor after a kill. Replaced atomically, so that the file always has the
 * old text or the new one. It survives the process, not the machine: nothing is synced to disk.
 */
export class StateFile<T> {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /**
   * Undefined: there is no file, or it has another version. Only the agent writes below the state directory (S10), so content of the right version has the
   * type that was saved.
   */
  load(): T | undefined {
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
    const envelope = JSON.parse(text) as Envelope<T>;
    return envelope.format === format ? envelope.value : undefined;
  }

  save(value: T): void {
    const envelope: Envelope<T> = { format, value };
    replaceFile(this.#file, JSON.stringify(envelope), { mode: 0o600, survives: 'process' });
  }

  remove(): void {
    rmSync(this.#file, { force: true });
  }
}
