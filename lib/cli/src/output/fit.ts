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
    .map((line) => (widthOf(line) <= columns ? line : folded(line, columns)))
    .join('\n');
}

function folded(line: string, columns: number): string {
  const indent = ' '.repeat(indentOf(line.replaceAll(colours, ''), columns));
  const lines: string[] = [];
  const start = /^ */.exec(line)?.[0] ?? '';
  let current = start;
  let isEmpty = true;
  for (const word of line.slice(start.length).split(/(?<! ) (?=\S)/)) {
    if (!isEmpty && widthOf(current) + 1 + widthOf(word) > columns) {
      lines.push(current);
      current = indent + word;
    } else current += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, current].join('\n');
}

/** Returns where the last column begins, if more than half of the terminal is after it. */
function indentOf(line: string, columns: number): number {
  const [first = 0, ...others] = [...line.matchAll(/(?:^ *|  +)(?=\S)/g)].map(
    ({ index, 0: { length } }) => index + length,
  );
  return others.filter((column) => column <= columns / 2).at(-1) ?? first + 2;
}

function widthOf(text: string): number {
  return text.replaceAll(colours, '').length;
}
