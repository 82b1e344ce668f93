import { GuestError } from '../error/guest-error.js';
import { quotedPath } from '../quoted.js';

/** Bounds of a file that is read line by line in a container. musl cuts lines of hosts at 511 bytes, and reads on after the cut. */
export const maxContentBytes: number = 64 * 1024;
const maxLineBytes = 500;

/** A line of a file, without its comment. */
export interface TextLine {
  /** From 1. */
  readonly number: number;
  readonly text: string;
}

/** Creates an error about a line of a file: refused, with the line as it is. */
export function lineError(file: string, { number, text }: TextLine, why: string, help: string): GuestError {
  return new GuestError('refused', `line ${number} of ${file}, ${quotedPath(text)}: ${why}; help: ${help}`);
}

/**
 * Returns the lines of a file. Only printable ASCII, spaces and tabs in lines of limited length, so that each C library reads the same
 * as the agent: they differ in NUL, in carriage return, and in where they cut a line.
 *
 * @param file its path in the container, for errors
 */
export function textLines(bytes: Uint8Array, file: string): readonly TextLine[] {
  const lines = Buffer.from(bytes).toString('latin1').split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((text, index) => {
    const line = { number: index + 1, text };
    if (/[^\t\x20-\x7e]/.test(text))
      throw lineError(file, line, 'it has a byte that is neither printable ASCII nor a tab', 'remove it');
    if (text.length > maxLineBytes)
      throw lineError(file, line, `it is longer than ${maxLineBytes} bytes`, 'write several lines');
    return line;
  });
}

/** Returns the words of a line, which spaces and tabs separate. */
export function wordsOf(text: string): readonly string[] {
  return text.split(/[ \t]+/).filter((word) => word !== '');
}
