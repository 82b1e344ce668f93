import type { Note } from './note.js';
import { NoteSignatureError } from './note-signature-error.js';
import { formatSignatureLine, type SignatureLine } from './signature-line.js';
import { LogVerifier, type WitnessVerifier } from './verifiers.js';

/** A verified signature of a log. `line` has its newline. */
export interface LogSignature {
  readonly by: LogVerifier;
  readonly line: string;
}

/** A verified cosignature. `time` is the witness's clock, in seconds since 1970. `line` has its newline. */
export interface WitnessSignature {
  readonly by: WitnessVerifier;
  readonly time: number;
  readonly line: string;
}

/** The verified signatures of a note, at most one of each key. */
export interface NoteSignatures {
  readonly logs: readonly LogSignature[];
  readonly witnesses: readonly WitnessSignature[];
}

/**
 * Verifies the signatures of a note. Signatures of other keys are ignored, whatever name they have, and are no part of
 * the result. As in Go's note.Open and C2SP signed-note v1.0.0, "Signatures", a wrong signature of a known key is an
 * error, and so is a note that no known key has signed. Unlike Go's, further signatures of a key are verified, too; of a
 * witness's the first one counts. Throws a NoteSignatureError.
 */
export function verifyNote(note: Note, keys: readonly (LogVerifier | WitnessVerifier)[]): NoteSignatures {
  const known = byNameAndId(keys);
  const logs = new Map<LogVerifier, LogSignature>();
  const witnesses = new Map<WitnessVerifier, WitnessSignature>();
  // Anybody can repeat a line; verifying costs 100 times as much as reading it.
  const verified = new Set<string>();
  for (const signature of note.signatures) {
    const by = known.get(nameAndId(signature));
    if (by === undefined) continue;
    const line = formatSignatureLine(signature);
    if (verified.has(line)) continue;
    verified.add(line);
    if (by instanceof LogVerifier) {
      if (!by.verify(note.text, signature.signature)) throw wrong(by);
      logs.set(by, { by, line });
    } else {
      const time = by.verify(note.text, signature.signature);
      if (time === undefined) throw wrong(by);
      if (!witnesses.has(by)) witnesses.set(by, { by, time, line });
    }
  }
  if (logs.size + witnesses.size === 0)
    throw new NoteSignatureError('missing', 'note: no known key has signed it');
  return { logs: [...logs.values()], witnesses: [...witnesses.values()] };
}

function nameAndId({ name, id }: Pick<SignatureLine, 'name' | 'id'>): string {
  return `${name}+${id}`;
}

function wrong(by: LogVerifier | WitnessVerifier): NoteSignatureError {
  return new NoteSignatureError('wrong', `note: the signature of ${nameAndId(by)} is not valid`);
}

/** Two keys with equal name and id are a mistake of the caller, or one of them was made by an attacker. */
function byNameAndId(
  keys: readonly (LogVerifier | WitnessVerifier)[],
): ReadonlyMap<string, LogVerifier | WitnessVerifier> {
  const known = new Map<string, LogVerifier | WitnessVerifier>();
  for (const key of keys) {
    const name = nameAndId(key);
    const other = known.get(name);
    if (other !== undefined && other.toString() !== key.toString())
      throw new Error(`two different keys have the name and id ${name}; give one of them`);
    known.set(name, key);
  }
  return known;
}
