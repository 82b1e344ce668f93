import { meets, ratio, type Row } from './row.js';

/** Common column widths: most cells fit, so that the tables of the parts look alike. */
const defaultWidths = [50, 9, 18, 7, 6, 6, 6, 0];

/** Renders the rows of a part as a table for people. */
export function renderRows(part: string, rows: readonly Row[]): string {
  const headings = [
    part,
    'ours',
    'compared with',
    'unit',
    'ratio',
    'goal',
    '',
    rows.some(({ spread }) => spread !== undefined) ? 'spread of ours' : '',
  ];
  return renderTable([headings, ...rows.map(cells)], defaultWidths);
}

/** Renders lines of cells as columns. `minimum`: the least width of each. */
export function renderTable(lines: readonly (readonly string[])[], minimum: readonly number[] = []): string {
  const columns = Math.max(...lines.map(({ length }) => length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(minimum[column] ?? 0, ...lines.map((line) => line[column]?.length ?? 0)),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function cells(row: Row): string[] {
  const against = row.against === undefined ? '' : `${row.against.name} ${number(row.against.value)}`;
  const share = ratio(row);
  const goal = row.goal === undefined ? '' : 'min' in row.goal ? `≥ ${row.goal.min}` : `≤ ${row.goal.max}`;
  const met = meets(row);
  const result = met === undefined ? '' : met ? 'met' : 'missed';
  return [
    row.what,
    number(row.ours),
    against,
    row.unit,
    share === undefined ? '' : `${share.toFixed(2)}×`,
    goal,
    result,
    row.spread === undefined ? '' : `${number(row.spread.min)}–${number(row.spread.max)}`,
  ];
}

function number(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en-GB');
  return value.toFixed(value >= 10 ? 1 : 2);
}
