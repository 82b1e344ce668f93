import { decodeText } from '../encoding/decode-text.js';
import { TextFormError } from '../encoding/text-form-error.js';
import { parseSignatureLine, type SignatureLine } from './signature-line.js';

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
