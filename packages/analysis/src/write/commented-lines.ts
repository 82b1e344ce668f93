import type { Wanted } from './plan.js';

/** Reasons beyond these are counted. */
const reasonsShown = 3;
const width = 100;
/** Longer texts do not push the column of the others out. */
const columnAtMost = 44;

/**
 * Lines of two columns; the second stands above the first where that is too long to stand beside it. Each line ends
 * with its line feed.
 */
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

/** Who asks for a value, behind the mark of a comment; empty when nobody is named. */
export function reasonsText(mark: '#' | '//', { because }: Wanted<unknown>): string {
  if (because.length === 0) return '';
  const shown = because.slice(0, reasonsShown).map((reason) => shortened(oneLine(reason)));
  const more = because.length - shown.length;
  return `${mark} ${shown.join(', ')}${more > 0 ? `, and ${more} more` : ''}`;
}

/** Nothing that a pod or a log says can end a comment or the string around it. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, ' ').replaceAll("'''", '’’’');
}

function shortened(text: string): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}
