import { appendFileSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Keeps in the guest the last bytes of a stream that no client may read (R15): in `FILE` and, before it, `FILE.1`, each
 * at most half of the limit. Created at the first byte.
 */
export class OutputLog {
  readonly #file: string;
  readonly #half: number;
  #written = 0;

  constructor(file: string, bytes: number) {
    this.#file = file;
    this.#half = Math.max(1, Math.floor(bytes / 2));
  }

  append(data: Uint8Array): void {
    if (this.#written === 0) mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
    for (let rest = data; rest.length > 0; ) {
      if (this.#written >= this.#half) {
        renameSync(this.#file, `${this.#file}.1`);
        this.#written = 0;
      }
      const part = rest.subarray(0, this.#half - this.#written);
      appendFileSync(this.#file, part, { mode: 0o600 });
      this.#written += part.length;
      rest = rest.subarray(part.length);
    }
  }

  remove(): void {
    for (const file of [this.#file, `${this.#file}.1`]) rmSync(file, { force: true });
  }
}
