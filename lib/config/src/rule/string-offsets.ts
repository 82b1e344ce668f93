/**
 * Returns the source offset of each UTF-16 unit of a decoded TOML string, and finally of its end, so that a fault at an
 * offset of an expression can be shown in the document. The two differ by escapes, the dropped first newline of a
 * multi-line string, line-ending backslashes, and `\r\n`, which counts as `\n`.
 *
 * `start` and `end` are those of the literal including quotes. The parser has already accepted the literal.
 */
export function stringOffsets(source: string, start: number, end: number): readonly number[] {
  const quotes = /^("""|'''|"|')/.exec(source.slice(start, start + 3))?.[0] ?? '"';
  const multiLine = quotes.length === 3;
  const basic = quotes.startsWith('"');
  const contentEnd = end - quotes.length;
  const offsets: number[] = [];
  let at = start + quotes.length;
  if (multiLine) at += newlineAt(source, at);
  while (at < contentEnd) {
    if (basic && source[at] === '\\') at = escape(source, at, multiLine, offsets);
    else {
      offsets.push(at);
      at += multiLine && newlineAt(source, at) === 2 ? 2 : 1;
    }
  }
  offsets.push(contentEnd);
  return offsets;
}

/** Returns the length of the newline at an offset: 0, 1 or 2. */
function newlineAt(source: string, at: number): number {
  if (source[at] === '\n') return 1;
  return source[at] === '\r' && source[at + 1] === '\n' ? 2 : 0;
}

const lineEnding: RegExp = /\\[ \t]*\r?\n[ \t\r\n]*/y;

/** Skips a backslash and its escape sequence; the decoded character has the backslash's offset. */
function escape(source: string, at: number, multiLine: boolean, offsets: number[]): number {
  lineEnding.lastIndex = at;
  const dropped = multiLine ? lineEnding.exec(source)?.[0] : undefined;
  if (dropped !== undefined) return at + dropped.length;
  const digits = source[at + 1] === 'u' ? 4 : source[at + 1] === 'U' ? 8 : 0;
  const codePoint = digits === 0 ? 0 : Number.parseInt(source.slice(at + 2, at + 2 + digits), 16);
  offsets.push(at);
  if (codePoint > 0xffff) offsets.push(at);
  return at + 2 + digits;
}
