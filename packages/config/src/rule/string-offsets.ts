/**
 * Where each UTF-16 unit of a decoded TOML string stands in the source, and at the end where its content ends: a fault
 * that a rule's checker finds at an offset of the expression is shown in the document. Escapes, the newline that a
 * multi-line string drops, its line-ending backslashes and `\r\n`, which counts as `\n`, make the two differ.
 *
 * `start` and `end` are those of the literal, quotes included. The literal is one that the parser has accepted.
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

/** The length of the newline at an offset: 0, 1 or 2. */
function newlineAt(source: string, at: number): number {
  if (source[at] === '\n') return 1;
  return source[at] === '\r' && source[at + 1] === '\n' ? 2 : 0;
}

const lineEnding: RegExp = /\\[ \t]*\r?\n[ \t\r\n]*/y;

/** Passes over a backslash and what belongs to it; what it stands for is at the backslash. */
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
