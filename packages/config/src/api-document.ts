import { findRelease, type MethodName, methodNames } from '@kata-agent/catalogue';
import type { ApiDocument, ListEntry } from './configuration.js';
import { expandList } from './endpoint-list.js';
import type { GivenSection } from './read-section.js';
import type { Report } from './report.js';
import { isServed } from './served.js';
import type { TomlTable } from './toml-value.js';

/** What the lists are checked for. A later document or fragment only narrows, so its having no list says nothing. */
export type ApiRole = 'base' | 'later';

/** The restrictions of an `[api]` table whose keys have been read already. */
export function apiDocument(
  table: TomlTable,
  given: GivenSection,
  report: Report,
  options: { readonly role: ApiRole; readonly handlers: ReadonlySet<MethodName> | undefined },
): ApiDocument {
  const value = given.get('release')?.value;
  const release = typeof value === 'string' ? value : undefined;
  const listOf = (
    key: 'allowed_endpoints' | 'blocked_endpoints',
  ): ReadonlyMap<MethodName, ListEntry> | undefined => {
    const list = table.entries.get(key)?.value;
    return list?.kind === 'array'
      ? expandList(list, { key, release, handlers: options.handlers, report })
      : undefined;
  };
  const allowed = listOf('allowed_endpoints');
  const blocked = listOf('blocked_endpoints');
  const document: ApiDocument = {
    file: report.source.file,
    rules: [],
    listeners: new Map(),
    ...(release === undefined ? {} : { release }),
    ...(allowed === undefined ? {} : { allowed }),
    ...(blocked === undefined ? {} : { blocked }),
  };
  checkRelease(release, given, report);
  checkBothLists(document, report);
  if (given.get('strict')?.value === true) checkStrict(document, given, report);
  if (options.role === 'base') checkServesSomething(document, table, report);
  return document;
}

function checkRelease(release: string | undefined, given: GivenSection, report: Report): void {
  const span = given.get('release')?.span;
  if (release === undefined || span === undefined || findRelease(release) !== undefined) return;
  const message = `release = "${release}" is not a release of Kata Containers that this agent knows`;
  if (given.get('strict')?.value === true)
    report.error(span, message, 'write one that exists: release = "3.21"');
  else report.warning(span, message, 'write one that exists: release = "3.21"');
}

function checkBothLists(document: ApiDocument, report: Report): void {
  const both = new Map<string, ListEntry>();
  for (const [method, block] of document.blocked ?? []) {
    if (document.allowed?.get(method)?.entry === block.entry) both.set(block.entry, block);
  }
  for (const { entry, span } of both.values()) {
    report.warning(
      span,
      `"${entry}" stands in both lists: it is not served`,
      'remove it from one of the two',
    );
  }
}

/** Under `strict`, what could grow with a later release must be pinned to one (R16). */
function checkStrict(document: ApiDocument, given: GivenSection, report: Report): void {
  if (document.release !== undefined) return;
  const help = 'write the release of Kata Containers it was written for: release = "3.21"';
  const blocked = given.get('blocked_endpoints');
  if (blocked !== undefined) {
    report.error(
      blocked.span,
      'under strict, blocked_endpoints needs a release: what it leaves out can grow',
      help,
    );
  }
  const open = new Map<string, ListEntry>();
  for (const list of [document.allowed, document.blocked]) {
    for (const entry of list?.values() ?? []) {
      if (entry.entry === '*' || entry.entry.startsWith('@'))
        open.set(`${entry.span.line}:${entry.span.column}`, entry);
    }
  }
  for (const { entry, span } of open.values()) {
    report.error(span, `under strict, "${entry}" needs a release: what it stands for can grow`, help);
  }
}

function checkServesSomething(document: ApiDocument, table: TomlTable, report: Report): void {
  const { allowed, blocked } = document;
  if (allowed === undefined && blocked === undefined) {
    // A list that could not be read has its own error.
    if (table.entries.has('allowed_endpoints') || table.entries.has('blocked_endpoints')) return;
    const message = 'this document has no list of endpoints, so NOTHING is served but Health';
    report.warning(
      table.span,
      message,
      'write allowed_endpoints in [api]: ["@pod"], or ["*"] for everything',
    );
  } else if (!report.failed && !methodNames.some((method) => isServed([document], method))) {
    const list = table.entries.get('allowed_endpoints') ?? table.entries.get('blocked_endpoints');
    const message = 'these lists leave nothing: NOTHING is served but Health';
    report.warning(list?.span ?? table.span, message, 'for everything: allowed_endpoints = ["*"]');
  }
}
