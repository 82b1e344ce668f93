import { type MethodName, methodNames } from '@kata-agent/catalogue';
import type { ExplainedEndpoint } from './explain-endpoint.js';

/** Whether a listener serves a method; `under rules`: requests must satisfy at least one rule. */
type Cell = 'served' | 'under rules' | 'not served';

/** A method and what each listener does with it, by the listener's name. */
export interface MatrixRow {
  readonly method: MethodName;
  readonly listeners: Readonly<Record<string, Cell>>;
}

/** Returns the matrix of methods and listeners; undefined if there is one listener only. */
export function listenerMatrix(
  listeners: readonly { readonly name: string }[],
  endpoints: readonly ExplainedEndpoint[],
): readonly MatrixRow[] | undefined {
  if (listeners.length < 2) return undefined;
  const cells = new Map(
    endpoints.map((endpoint) => [`${endpoint.method} ${endpoint.listener}`, cellOf(endpoint)]),
  );
  return methodNames.map((method) => ({
    method,
    listeners: Object.fromEntries(
      listeners.map(({ name }) => [name, cells.get(`${method} ${name}`) ?? 'not served']),
    ),
  }));
}

/** Renders the matrix, one line for each method. */
export function renderMatrix(matrix: readonly MatrixRow[]): string {
  const names = Object.keys(matrix[0]?.listeners ?? {});
  const rows = [
    ['', ...names],
    ...matrix.map(({ method, listeners }) => [method, ...names.map((name) => listeners[name] ?? '')]),
  ];
  const widths = ['', ...names].map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  return `endpoints by listener\n${lines.map((line) => `  ${line.trimEnd()}`).join('\n')}`;
}

function cellOf({ served, rules }: ExplainedEndpoint): Cell {
  if (!served) return 'not served';
  return rules.some(({ enforcement }) => enforcement === 'enforce') ? 'under rules' : 'served';
}
