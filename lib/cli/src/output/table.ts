import { cellText } from './plain-output.js';

/**
 * Renders columns, each as wide as its widest cell, separated by two spaces; the last one is not padded. The first
 * row is the heading. No cell begins a line. `decorate` styles a padded cell and must keep its width.
 */
export function renderTable(
  texts: readonly (readonly string[])[],
  decorate: (padded: string, row: number, column: number) => string = (padded) => padded,
): string {
  const rows = texts.map((row) => row.map(cellText));
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    }
  }
  return rows
    .map((row, index) => {
      const last = row.length - 1;
      const cells = row.map((cell, column) =>
        decorate(column === last ? cell : cell.padEnd(widths[column] ?? 0), index, column),
      );
      return `${cells.join('  ').trimEnd()}\n`;
    })
    .join('');
}
