import { decodeBase64, decodeText, encodeBase64, TextFormError } from '../text-form.js';
import { isKeyName, LogVerifier, type WitnessVerifier } from './verifiers.js';

/** C2SP signed-note v1.0.0 demands a limit, and at least 16 signatures, of which one can have up to 5 kB. */
const maxNoteBytes = 256 * 1024;
const maxSignatures = 100;

/** A note whose signatures are not verified. Nothing in it may be believed. */
export interface Note {
  /** With its last newline. */
  readonly text: string;
  readonly signatures: readonly SignatureLine[];
}

/** Returns a note: text, empty line, signature lines (C2SP signed-note v1.0.0, "Format"). */
export function formatNote(text: string, signatureLines: readonly string[]): string {
  return `${text}\n${signatureLines.join('')}`;
}

/** Parses a note. Throws a TextFormError. */
export function parseNote(input: Uint8Array | string): Note {
  const note = decodeText(input, 'note', maxNoteBytes);
  // The text can have empty lines; the last one ends it.
  const split = note.lastIndexOf('\n\n');
  if (split < 0) throw new TextFormError('note: it has no empty line before its signatures');
  const text = note.slice(0, split + 1);
  const lines = note.slice(split + 2).split('\n');
  if (lines.pop() !== '' || lines.length === 0)
    throw new TextFormError('note: it has no signature, or its last line does not end');
  if (lines.length > maxSignatures)
    throw new TextFormError(`note: it has ${lines.length} signatures, and may have ${maxSignatures}`);
  const signatures = lines.map((line, at) => {
    const signature = parseSignatureLine(line);
    if (signature === undefined) throw new TextFormError(`note: signature ${at + 1} has not the form of one`);
    return signature;
  });
  return { text, signatures };
}

/** A line of a note that has a signature, not verified. */
export interface SignatureLine {
  readonly name: string;
  /** 8 hex digits. */
  readonly id: string;
  /** What follows the id: a signature, or a time and a signature. */
  readonly signature: Uint8Array;
}

/** Returns `— NAME BASE64` and a newline: base64 of id and signature (C2SP signed-note v1.0.0, "Format"). */
export function formatSignatureLine({ name, id, signature }: SignatureLine): string {
  return `\u2014 ${name} ${encodeBase64(Buffer.concat([Buffer.from(id, 'hex'), signature]))}\n`;
}

/** Parses such a line without its newline. Undefined if it is not one; a signature has at least one byte. */
function parseSignatureLine(line: string): SignatureLine | undefined {
  const [, name = '', base64 = ''] = /^\u2014 ([^ ]+) ([^ ]+)$/.exec(line) ?? [];
  const bytes = decodeBase64(base64);
  if (!isKeyName(name) || bytes === undefined || bytes.byteLength < 5) return undefined;
  return { name, id: Buffer.from(bytes.subarray(0, 4)).toString('hex'), signature: bytes.subarray(4) };
}

/** A note that is not signed as it must be. Nothing of it may be believed. */
export class NoteSignatureError extends Error {
  /** `missing`: no key that is known, and needed, has signed. `wrong`: a signature of a known key does not verify. */
  readonly fault: 'missing' | 'wrong';

  constructor(fault: 'missing' | 'wrong', message: string) {
    super(message);
    this.name = 'NoteSignatureError';
    this.fault = fault;
  }
}

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
