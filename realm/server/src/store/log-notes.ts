import type { AuditRecord } from '@kata-agent/audit';
import { formatPin } from '@kata-agent/x509';
import type { LogFault, LogNote, LogState, LogStorage } from './log-storage.js';

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

/** Parses the notes of a file; a torn last line is left out. */
export function parseNotes(text: string): readonly LogNote[] {
  return text.split('\n').flatMap((line) => {
    try {
      const note: unknown = JSON.parse(line);
      return isNote(note) ? [note] : [];
    } catch {
      return [];
    }
  });
}

/** Returns the notes of a list; undefined if something else is in it. */
export function notesOf(value: unknown): readonly LogNote[] | undefined {
  return Array.isArray(value) && value.every(isNote) ? value : undefined;
}

function isNote(value: unknown): value is LogNote {
  const { kind, sequence } = (value ?? {}) as Partial<Record<keyof LogNote, unknown>>;
  return typeof kind === 'string' && typeof sequence === 'number';
}

/** Reports whether two notes say the same: a guest can connect again and again with the same fault. */
function isSameNote(a: LogNote, b: LogNote): boolean {
  return (
    a.kind === b.kind &&
    a.sequence === b.sequence &&
    ('sha256' in a ? a.sha256 : undefined) === ('sha256' in b ? b.sha256 : undefined)
  );
}

/** What is known of a guest before a record of a boot. */
interface KnownGuest {
  readonly id: string;
  /** The sequence number of the boot that made its key; undefined: its record has not arrived. */
  readonly ownBoot: number | undefined;
  /** The log key that its evidence binds; undefined: it is not attested. */
  readonly attestedKey: string | undefined;
}

/** Returns what a record of a boot says about the log. A guest's key is made at boot, and its log names it: no further boot can follow. */
export function notesOfBoot(
  { sequence, facts, logKey }: Extract<AuditRecord, { kind: 'boot' }>,
  { id, ownBoot, attestedKey }: KnownGuest,
): readonly LogNote[] {
  const secondLog = (what: string): LogNote => ({ kind: 'second-log', sequence, what });
  if (ownBoot !== undefined)
    return sequence > ownBoot
      ? [
          secondLog(
            `record ${sequence} is of a second boot: the guest's key was made at the boot of record ${ownBoot}`,
          ),
        ]
      : [];
  const { pin } = (facts['tls'] ?? {}) as { readonly pin?: unknown };
  if (pin !== formatPin(id)) return [];
  const { heartbeatMs } = facts;
  const heartbeat = typeof heartbeatMs === 'number' && heartbeatMs > 0 ? { heartbeatMs } : {};
  const own: LogNote = { kind: 'own-boot', sequence, ...heartbeat };
  return attestedKey === undefined || logKey === attestedKey
    ? [own]
    : [
        secondLog(
          `record ${sequence} names the log key ${logKey ?? 'none'}, and the guest's evidence ${attestedKey}`,
        ),
        own,
      ];
}
