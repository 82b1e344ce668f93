/** Limit of listed reasons; others are counted. */
const reasonsShown = 3;
const width = 100;
/** Longer texts do not widen the column. */
const columnAtMost = 44;

/** Returns lines of two columns; a comment is above a text that is too long. Each line ends with a line feed. */
export function commentedLines(lines: readonly (readonly [string, string])[]): string {
  const column = Math.max(
    0,
    ...lines.map(([text]) => text.length).filter((length) => length <= columnAtMost),
  );
  return lines
    .map(([text, reason]) => {
      if (reason === '') return `${text}\n`;
      if (text.length <= column) return `${text.padEnd(column)} ${reason}\n`;
      return text.length + reason.length < width ? `${text} ${reason}\n` : `  ${reason}\n${text}\n`;
    })
    .join('');
}

/** Returns the origins of a value as a comment; empty if there are none. */
export function reasonsText(mark: '#' | '//', { because }: Pick<Wanted<unknown>, 'because'>): string {
  if (because.length === 0) return '';
  const shown = because.slice(0, reasonsShown).map((reason) => shortened(oneLine(reason)));
  const more = because.length - shown.length;
  return `${mark} ${shown.join(', ')}${more > 0 ? `, and ${more} more` : ''}`;
}

/** Escapes text from a pod or a log, so that it cannot end the comment or the string around it. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, ' ').replaceAll("'''", '’’’');
}

function shortened(text: string): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

/** An entry of a list, and its reasons. */
export interface Wanted<T> {
  readonly value: T;
  /** At least one, in order. */
  readonly because: readonly string[];
}
