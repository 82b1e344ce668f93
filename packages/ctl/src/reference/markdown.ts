/** The first lines of a generated page. */
export function pageHead(title: string, madeFrom: string): string {
  return `<!-- Made by \`npm run generate\` from ${madeFrom}. Change that, not this. -->\n\n# ${title}\n`;
}

/** A table; cells may have any text. */
export function markdownTable(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |\n`;
  return `${line(heading)}|${' --- |'.repeat(heading.length)}\n${rows.map(line).join('')}`;
}

export function code(text: string): string {
  return text === '' ? '' : `\`${text}\``;
}

/** One cell: a bar would end it, a line break the row, and an angle bracket would start a tag. */
function cell(text: string): string {
  const parts = text
    .replaceAll('|', '\\|')
    .replace(/\s*\n\s*/g, ' ')
    .split(/(`[^`]*`)/);
  return parts.map((part) => (part.startsWith('`') ? part : part.replaceAll('<', '&lt;'))).join('');
}
