import type { RefusalCode } from '@kata-agent/catalogue/codes';
import { endpoints, type MethodName } from '@kata-agent/catalogue';
import type { ListEntry } from '../configuration.js';
import { place, type Span } from '../diagnostics/diagnostic.js';

/** A part of a configuration that affects whether a method is served on a listener. */
export type Finding = LeftOut | TooLate | WithoutLists | Listed;

/** The program has no handler for the method (R13). */
interface LeftOut {
  readonly kind: 'left out';
  readonly allows: false;
}

/** The method is newer than a document's `release`. */
interface TooLate {
  readonly kind: 'release';
  readonly allows: false;
  readonly file: string;
  readonly release: string;
}

/** The base document has no list that opens anything on the listener. */
interface WithoutLists {
  readonly kind: 'no lists';
  readonly allows: false;
  readonly file: string;
}

/** A list contains the method or does not. */
export interface Listed {
  readonly kind: 'list';
  readonly allows: boolean;
  readonly list: 'allowed_endpoints' | 'blocked_endpoints';
  /** The listener the list belongs to; absent for `[api]`. */
  readonly listener?: string;
  readonly file: string;
  /** Whether the list is in the base document; only those lists can open. */
  readonly ofBase: boolean;
  /** The entry that covers the method, if any. */
  readonly entry?: ListEntry;
  /** The start of an allow-list without the method; absent when it is empty. */
  readonly begins?: Span;
}

/**
 * Returns why a method is served or not, from the deciding finding: `in blocked_endpoints as @exec (config.toml:15)`.
 */
export function reasonOf(finding: Finding, method: MethodName): string {
  switch (finding.kind) {
    case 'left out':
      return 'its handler was left out of this build';
    case 'release':
      return `was added in ${endpoints[method].release}, after release = "${finding.release}" (${finding.file})`;
    case 'no lists':
      return `the configuration has no list of endpoints, so nothing is served (${finding.file})`;
    case 'list': {
      const { entry, list, allows } = finding;
      if (entry === undefined) {
        const empty = !allows && finding.begins === undefined ? ': the list is empty' : '';
        return `not in ${list}${ofListener(finding)} (${sourceOf(finding)}${empty})`;
      }
      const written = entry.entry === method ? '' : ` as ${entry.entry}`;
      return `in ${list}${ofListener(finding)}${written} (${sourceOf(finding)})`;
    }
  }
}

/** Returns the code of a denial by this finding. */
export function refusalCodeOf(finding: Finding): RefusalCode {
  switch (finding.kind) {
    case 'left out':
      return 'KA3004';
    case 'release':
      return 'KA3003';
    case 'no lists':
      return 'KA3005';
    case 'list':
      return finding.list === 'blocked_endpoints' ? 'KA3002' : 'KA3001';
  }
}

/** Returns the finding's place: `config.toml:7`, or the file alone when it has no line. */
export function sourceOf(finding: Finding): string {
  if (finding.kind === 'left out') return 'this build';
  if (finding.kind !== 'list') return finding.file;
  const span = finding.entry?.span ?? finding.begins;
  return span === undefined ? finding.file : place(span);
}

/** Returns ` of listener "host"`; empty for a list of `[api]`. */
export function ofListener({ listener }: Pick<Listed, 'listener'>): string {
  return listener === undefined ? '' : ` of listener "${listener}"`;
}
