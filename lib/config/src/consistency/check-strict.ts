import { findRelease } from '@kata-agent/catalogue';
import type { EndpointLists, ListEntry } from '../configuration.js';
import type { Diagnostic, Span } from '../diagnostics/diagnostic.js';
import { diagnosticIn, type ParsedDocument } from '../parse/parsed-document.js';

const pin = 'write the release of Kata Containers it was written for: release = "3.21"';

/**
 * Under `strict`, set by any document, lists that could grow with a later release must be pinned to a release (R16).
 */
export function checkPinned(document: ParsedDocument): readonly Diagnostic[] {
  const { api, listeners } = document;
  if (api.release !== undefined) return [];
  const faults = new Map<string, Diagnostic>();
  const refuse = (span: Span, message: string): void => {
    faults.set(`${span.line}:${span.column}`, diagnosticIn(document, 'error', 'KA1208', span, message, pin));
  };
  const checkLists = ({ allowed, blocked }: EndpointLists, owner: Span): void => {
    for (const { entry, span } of allowed?.values() ?? [])
      if (isOpen(entry))
        refuse(span, `under strict, "${entry}" needs a release: it can include more methods later`);
    if (blocked !== undefined)
      refuse(
        owner,
        'under strict, blocked_endpoints needs a release: it can leave more methods served later',
      );
  };
  for (const { lists, span } of listeners) checkLists(lists, span);
  checkLists(api, document.sections.api.get('blocked_endpoints')?.span ?? document.apiSpan);
  return Array.from(faults.values()).toSorted(
    (a, b) => (a.span?.line ?? 0) - (b.span?.line ?? 0) || (a.span?.column ?? 0) - (b.span?.column ?? 0),
  );
}

function isOpen(entry: ListEntry['entry']): boolean {
  return entry === '*' || entry.startsWith('@');
}

/** A release that this agent does not know is not a reliable pin. */
export function checkRelease(document: ParsedDocument, strict: boolean): readonly Diagnostic[] {
  const { release } = document.api;
  const span = document.sections.api.get('release')?.span;
  if (release === undefined || span === undefined || findRelease(release) !== undefined) return [];
  const message = `release = "${release}" is not a release of Kata Containers that this agent knows`;
  const help = 'write one that exists: release = "3.21"';
  return [diagnosticIn(document, strict ? 'error' : 'warning', 'KA1209', span, message, help)];
}
