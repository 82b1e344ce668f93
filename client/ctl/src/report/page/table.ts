import { html, type Html, type HtmlValue } from './html.js';

export interface TableColumn<Row> {
  readonly title: string;
  readonly cell: (row: Row) => HtmlValue;
  /** `heading`: it names the row. */
  readonly kind?: 'heading' | 'number' | 'long' | 'time';
}

/**
 * Renders a table in a box that scrolls on narrow screens, and that the keyboard reaches. `isBelowHeading`: a heading with the same
 * words is above it, and the caption is for screen readers.
 */
export function table<Row>(
  caption: string,
  columns: readonly TableColumn<Row>[],
  rows: readonly Row[],
  isBelowHeading = false,
): Html {
  return scrollBox(
    caption,
    html`<table>
<caption class="${isBelowHeading ? 'heading' : ''}">${caption}</caption>
<thead><tr>${columns.map(({ title, kind }) => html`<th scope="col" class="${kind ?? ''}">${title}</th>`)}</tr></thead>
<tbody>
${rows.map((row) => html`<tr>${columns.map((column) => tableCell(column, row))}</tr>\n`)}</tbody>
</table>`,
  );
}

export function scrollBox(label: string, content: Html): Html {
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${label}">${content}</div>`;
}

function tableCell<Row>({ cell, kind }: TableColumn<Row>, row: Row): Html {
  if (kind === 'heading') return html`<th scope="row">${cell(row)}</th>`;
  return html`<td class="${kind ?? ''}">${cell(row)}</td>`;
}

/** Returns a recorded time in a form that is read and wrapped more easily; another text as it is. All times are in UTC. */
export function timeText(recorded: string): string {
  return recorded.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d{1,9})?)Z$/, '$1 $2');
}
