/** The widest text for people, in columns, also where the width of the output is not known. */
export const widest = 100;

/** Colours, which have no width. */
const colours = /\u001b\[[\d;]*m/g;

/**
 * Folds the lines of a text that are longer than a terminal, at spaces: the rest of a line begins below its last column, or is
 * indented. A word that is longer, such as a path or a digest, stays whole, so that it can be copied.
 *
 * @param columns of the terminal
 */
export function fitted(text: string, columns: number): string {
  return text
    .split('\n')
    .map((line) => folded(line, { columns, indent: indentOf(line.replaceAll(colours, ''), columns) }))
    .join('\n');
}

/**
 * Folds a line that has text of another party in it: the rest begins at `indent`, and a longer word is cut, so that the terminal itself
 * never begins a line with a part of it. A narrower terminal than 40 columns is taken as one of 40.
 *
 * @param indent at most half of that
 */
export function foldedWithin(line: string, columns: number, indent: number): string {
  return folded(line, { columns: Math.max(columns, 40), indent, cuts: true });
}

interface Fold {
  readonly columns: number;
  readonly indent: number;
  /** Whether words are cut that are longer than a line. */
  readonly cuts?: boolean;
}

function folded(line: string, { columns, indent, cuts = false }: Fold): string {
  if (widthOf(line) <= columns) return line;
  const lines: string[] = [];
  const start = /^ */.exec(line)?.[0] ?? '';
  let current = start;
  let isEmpty = true;
  for (const word of line.slice(start.length).split(/(?<! ) (?=\S)/)) {
    const next = isEmpty ? current + word : `${current} ${word}`;
    if (isEmpty || widthOf(next) <= columns) current = next;
    else {
      lines.push(current);
      current = ' '.repeat(indent) + word;
    }
    if (cuts) {
      const parts = cut(current, columns, indent);
      lines.push(...parts.slice(0, -1));
      current = parts.at(-1) ?? '';
    }
    isEmpty = false;
  }
  return [...lines, current].join('\n');
}

/** Cuts a text into lines that fit. */
function cut(text: string, columns: number, indent: number): readonly string[] {
  const lines: string[] = [];
  let rest = text;
  while (widthOf(rest) > columns) {
    const end = cutAt(rest, columns);
    lines.push(rest.slice(0, end));
    rest = ' '.repeat(indent) + rest.slice(end);
  }
  return [...lines, rest];
}

/** Returns where the part of a text ends that fits, but not within a colour or a character. */
function cutAt(text: string, columns: number): number {
  let width = 0;
  for (const { index, 0: part } of text.matchAll(/\u001b\[[\d;]*m|./gsu)) {
    width += widthOf(part);
    if (width > columns) return index;
  }
  return text.length;
}

/** Returns where the last column begins, if more than half of the terminal is after it. */
function indentOf(line: string, columns: number): number {
  const [first = 0, ...others] = [...line.matchAll(/(?:^ *|  +)(?=\S)/g)].map(
    ({ index, 0: { length } }) => index + length,
  );
  return others.filter((column) => column <= columns / 2).at(-1) ?? first + 2;
}

/** Characters beyond ASCII may have two columns: a line is folded too early then, and never too late. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of text.replaceAll(colours, '')) width += character <= '~' ? 1 : 2;
  return width;
}
