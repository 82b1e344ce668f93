import { endpoints, type MethodName, methodNames } from '@kata-agent/catalogue';
import type { RefusalCode } from '@kata-agent/catalogue/codes';
import { type Finding, ofListener, sourceOf } from '../api/finding.js';
import { decidingFinding, findingsOn, servedBy } from '../api/served.js';
import type { ApiDocument, Rule } from '../configuration.js';
import { place } from '../diagnostics/diagnostic.js';

export interface ExplainedEndpoint {
  readonly listener: string;
  readonly method: MethodName;
  readonly served: boolean;
  readonly reason: string;
  /** Why it is not served; absent when it is. */
  readonly code?: RefusalCode;
  /** The part of each list and release, in evaluation order. */
  readonly findings: readonly ExplainedFinding[];
  /** The rules that its requests must satisfy. */
  readonly rules: readonly ExplainedRule[];
}

/** The part of a document that concerns a method. */
export interface ExplainedFinding {
  /** `config.toml:7`, or the file alone for an empty list. */
  readonly source: string;
  /** `allowed_endpoints has "@pod"`. */
  readonly text: string;
  readonly allows: boolean;
  /** Whether it decides: the first that denies, otherwise the narrowest that opens. */
  readonly decides: boolean;
}

export interface ExplainedRule {
  readonly name: string;
  readonly source: string;
  readonly enforcement: Rule['enforcement'];
}

/** Explains the result of calls of a method on a listener. */
export function explainEndpoint(
  documents: readonly ApiDocument[],
  listener: string,
  method: MethodName,
  builtIn?: ReadonlySet<MethodName>,
): ExplainedEndpoint {
  const findings = findingsOn(documents, listener, method, builtIn);
  const deciding = decidingFinding(findings);
  return {
    listener,
    method,
    ...servedBy(findings, method),
    findings: findings.map((finding) => ({
      source: sourceOf(finding),
      text: wordsOf(finding, method),
      allows: finding.allows,
      decides: finding === deciding,
    })),
    rules: documents.flatMap(({ rules }) =>
      rules
        .filter(({ methods }) => methods.has(method))
        .map(({ name, span, enforcement }) => ({ name, source: place(span), enforcement })),
    ),
  };
}

function wordsOf(finding: Finding, method: MethodName): string {
  switch (finding.kind) {
    case 'left out':
      return 'its handler was left out';
    case 'release':
      return `release = "${finding.release}", and it was added in ${endpoints[method].release}`;
    case 'no lists':
      return 'there is no list of endpoints';
    case 'list': {
      const { entry, list } = finding;
      return `${list}${ofListener(finding)} ${entry === undefined ? 'does not have it' : `has "${entry.entry}"`}`;
    }
  }
}

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
