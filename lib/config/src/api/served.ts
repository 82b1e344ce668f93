import { existedIn, type MethodName } from '@kata-agent/catalogue';
import type { RefusalCode } from '@kata-agent/catalogue/codes';
import type { ApiDocument, EndpointLists } from '../configuration.js';
import { type Finding, type Listed, reasonOf, refusalCodeOf } from './finding.js';

export type { Finding } from './finding.js';

/** Whether a method is served on a listener, and why. */
export type Served =
  | { readonly served: true; readonly reason: string; readonly code?: never }
  | { readonly served: false; readonly reason: string; readonly code: RefusalCode };

/**
 * Returns everything in a configuration that affects a method on a listener, in evaluation order
 * (docs/configuration.md, "What is served"). Gate, checks and explanations are derived from it.
 *
 * @param documents the base document and further ones; without any, everything is served.
 * @param builtIn the methods whose handlers the program contains; by default all.
 * @throws RangeError when a release is not of the form `3.21` or `3.21.0`.
 */
export function findingsOn(
  documents: readonly ApiDocument[],
  listener: string,
  method: MethodName,
  builtIn?: ReadonlySet<MethodName>,
): readonly Finding[] {
  const findings = documents.flatMap((document, index) =>
    findingsIn(document, index === 0, listener, method),
  );
  return builtIn?.has(method) === false ? [{ kind: 'left out', allows: false }, ...findings] : findings;
}

/**
 * Returns the findings of one document. The base document must open a method; where both `[api]` and the listener's
 * entry have lists, both must allow it. A further document can only deny.
 *
 * @throws RangeError when its release is not of the form `3.21` or `3.21.0`.
 */
export function findingsIn(
  document: ApiDocument,
  ofBase: boolean,
  listener: string,
  method: MethodName,
): readonly Finding[] {
  const { file, release } = document;
  const own = document.listeners.get(listener);
  const listed = [
    ...findingsOfLists(document, method, { file, ofBase }),
    ...(own === undefined ? [] : findingsOfLists(own, method, { file, ofBase, listener })),
  ];
  const late: Finding[] =
    release !== undefined && !existedIn(method, release)
      ? [{ kind: 'release', allows: false, file, release }]
      : [];
  const none: Finding[] = ofBase && listed.length === 0 ? [{ kind: 'no lists', allows: false, file }] : [];
  return [...late, ...listed, ...none];
}

/**
 * Returns the deciding finding: the first that denies, otherwise the narrowest list that opens; undefined without
 * documents.
 */
export function decidingFinding(findings: readonly Finding[]): Finding | undefined {
  return (
    findings.find(({ allows }) => !allows) ??
    findings.findLast((finding) => finding.kind === 'list' && finding.ofBase)
  );
}

/** Combines the findings to a result. */
export function servedBy(findings: readonly Finding[], method: MethodName): Served {
  const deciding = decidingFinding(findings);
  if (deciding === undefined)
    return { served: true, reason: 'there is no configuration, so everything is served' };
  const reason = reasonOf(deciding, method);
  return deciding.allows
    ? { served: true, reason }
    : { served: false, reason, code: refusalCodeOf(deciding) };
}

/** Reports whether a method is served on a listener, without a reason. */
export function isServed(
  documents: readonly ApiDocument[],
  listener: string,
  method: MethodName,
  builtIn?: ReadonlySet<MethodName>,
): boolean {
  return findingsOn(documents, listener, method, builtIn).every(({ allows }) => allows);
}

function findingsOfLists(
  { allowed, blocked }: EndpointLists,
  method: MethodName,
  of: Pick<Listed, 'file' | 'ofBase' | 'listener'>,
): readonly Listed[] {
  const found: Listed[] = [];
  const block = blocked?.get(method);
  // A block-list without the method opens it only when there is no allow-list.
  if (block !== undefined)
    found.push({ kind: 'list', allows: false, list: 'blocked_endpoints', entry: block, ...of });
  else if (blocked !== undefined && allowed === undefined)
    found.push({ kind: 'list', allows: true, list: 'blocked_endpoints', ...of });
  const entry = allowed?.get(method);
  if (entry !== undefined)
    found.push({ kind: 'list', allows: true, list: 'allowed_endpoints', entry, ...of });
  else if (allowed !== undefined) {
    const [first] = allowed.values();
    const begins = first === undefined ? {} : { begins: first.span };
    found.push({ kind: 'list', allows: false, list: 'allowed_endpoints', ...begins, ...of });
  }
  return found;
}
