/** What a realm notes about a log beside it: what its records do not say themselves. */
export type LogNote =
  /** The record of the boot that made the guest's key. `heartbeatMs`: how often there is a record at least, if it says so. */
  { readonly kind: 'own-boot'; readonly sequence: number; readonly heartbeatMs?: number } | LogFault;

/** A fault of a log. None is forgotten: it decides about the log's state from then on. */
export interface LogFault {
  /**
   * `gap`: records are missing before this one. `broken`: a line is no record, or does not follow; it is not stored.
   * `second-log`: the guest has another log than the one that it sent before. `clone`: two guests with its key are there at once.
   * `fork`: its key has signed two trees that are not one log, or another tree than that of the records that it sent.
   */
  readonly kind: 'gap' | 'broken' | 'second-log' | 'clone' | 'fork';
  /** Of the record; 0 if it is not known. */
  readonly sequence: number;
  readonly what: string;
  /** Of a gap: how many records are missing. */
  readonly missing?: number;
  /** Of a line that is not stored, or a checkpoint that contradicts the log: its SHA-256, and its begin. */
  readonly sha256?: string;
  readonly line?: string;
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
export function isSameNote(a: LogNote, b: LogNote): boolean {
  return (
    a.kind === b.kind &&
    a.sequence === b.sequence &&
    ('sha256' in a ? a.sha256 : undefined) === ('sha256' in b ? b.sha256 : undefined)
  );
}
