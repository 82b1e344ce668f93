import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hasCode } from '@kata-agent/linux';

/** Of the form of what is inside. A file of another form is not read. */
const format = 1;

interface Envelope<T> {
  readonly format: number;
  readonly value: T;
}

/**
 * One value of our own state, for the agent that comes after one that was killed. It is replaced as a whole, so that
 * whenever that happens there is the old text or the new one. It need not survive the machine, only the process: nothing
 * is flushed to a disk.
 */
export class StateFile<T> {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /**
   * Undefined: there is none. Only we write below the state directory (S10), so what is found in our own format has the
   * type that it was saved with.
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
    const fresh = `${this.#file}.new`;
    try {
      writeFileSync(fresh, JSON.stringify(envelope), { mode: 0o600 });
      renameSync(fresh, this.#file);
    } catch (error) {
      rmSync(fresh, { force: true });
      throw error;
    }
  }

  remove(): void {
    rmSync(this.#file, { force: true });
  }
}
