import type { Io, Output } from '../command/io.js';

/**
 * Characters that control a terminal, or that it shows elsewhere or in another order: the control characters of C0 and C1,
 * separators of lines and paragraphs, and bidirectional controls. Line feeds, tabs, CR LF, and our own colours remain.
 */
const sensitive =
  /(\u001b\[[\d;]{1,8}m|\r\n)|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Of a text that begins no line and has no colour: tabs, line feeds and escapes too. */
const inCell = /[\u0000-\u001f\u007f]/gu;

/** Returns a text with control characters escaped, as `\u009b`: in JSON, where it can be in strings only, that is the same value. */
function terminalText(text: string): string {
  return text.replace(sensitive, (found, kept: string | undefined) => kept ?? escaped(found));
}

/** Returns a text of another machine as part of one line. */
export function cellText(text: string): string {
  return text.replace(inCell, escaped);
}

/**
 * Returns the process's streams for commands: no text that they print controls a terminal, wherever it comes from. Bytes, the
 * output of containers, are written as they are.
 */
export function plainIo(io: Io): Io {
  return { ...io, stdout: plainOutput(io.stdout), stderr: plainOutput(io.stderr) };
}

function plainOutput(stream: Output): Output {
  return {
    get isTTY() {
      return stream.isTTY === true;
    },
    get columns() {
      return stream.columns;
    },
    get rows() {
      return stream.rows;
    },
    write: (data, done) => stream.write(typeof data === 'string' ? terminalText(data) : data, done),
    on: (event, listener) => stream.on(event, listener),
    off: (event, listener) => stream.off(event, listener),
  };
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
