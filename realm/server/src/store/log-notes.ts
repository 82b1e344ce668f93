import type { LogState } from './collected-log.js';
import { isSameNote, type LogFault, type LogNote } from './log-note.js';
import type { LogStorage } from './log-storage.js';

const maxNotes = 256;

/** The notes about the logs of a guest. They are stored beside these. */
export class LogNotes {
  readonly #storage: Pick<LogStorage, 'note'>;
  #notes: LogNote[] = [];

  constructor(storage: Pick<LogStorage, 'note'>) {
    this.#storage = storage;
  }

  /** Replaces all by those that are stored. */
  load(stored: readonly LogNote[]): void {
    this.#notes = [...stored];
  }

  /** Stores a note that is not there yet. Returns the bytes that were written. */
  async add(note: LogNote): Promise<number> {
    // The first fault of each kind is always noted: it decides about the state.
    const isTooMany = this.#notes.length >= maxNotes && this.has(note.kind);
    if (isTooMany || this.#notes.some((other) => isSameNote(other, note))) return 0;
    this.#notes.push(note);
    return await this.#storage.note(note);
  }

  has(kind: LogNote['kind']): boolean {
    return this.#notes.some((note) => note.kind === kind);
  }

  /** The state of a log with the gravest of these faults; undefined: there is none. */
  get state(): Extract<LogState, LogFault['kind']> | undefined {
    return (['fork', 'broken', 'clone', 'second-log', 'gap'] as const).find((kind) => this.has(kind));
  }

  /** Why no witness may believe that this is one log; undefined: it can be. */
  get contradiction(): LogFault | undefined {
    return this.#notes.find((note): note is LogFault => note.kind === 'fork' || note.kind === 'second-log');
  }

  /** The boot that made the guest's key; undefined: its record has not arrived. */
  get ownBoot(): Extract<LogNote, { kind: 'own-boot' }> | undefined {
    return this.#notes.find((note) => note.kind === 'own-boot');
  }

  /** Returns how many records are missing between two that are stored. */
  missing(first: number, last: number): number {
    return this.#notes.reduce(
      (sum, note) =>
        sum +
        (note.kind === 'gap' && note.sequence > first && note.sequence <= last ? (note.missing ?? 0) : 0),
      0,
    );
  }
}
