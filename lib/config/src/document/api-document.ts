import type { MethodName } from '@kata-agent/catalogue';
import type { ApiDocument, EndpointLists, ListEntry } from '../configuration.js';
import type { GivenSection } from '../settings/read-section.js';
import type { Report } from '../diagnostics/report.js';
import type { TomlTable } from '../toml/toml-value.js';
import { expandList } from './endpoint-list.js';

/** How the lists of a document are expanded. */
export interface ListOptions {
  readonly release: string | undefined;
  /** The methods whose handlers are in the bundle; undefined: all. */
  readonly handlers: ReadonlySet<MethodName> | undefined;
}

/** Returns the release that a document is written for. */
export function releaseOf(api: GivenSection): string | undefined {
  const value = api.get('release')?.value;
  return typeof value === 'string' ? value : undefined;
}

/** Builds the restrictions of a document from its `[api]`, rules and listeners. */
export function apiDocument(
  table: TomlTable,
  parts: Pick<ApiDocument, 'rules' | 'listeners'>,
  options: ListOptions,
  report: Report,
): ApiDocument {
  const { release } = options;
  return {
    file: report.source.file,
    ...(release === undefined ? {} : { release }),
    ...endpointLists(table, options, report),
    ...parts,
  };
}

/** Reads the two lists of `[api]` or of a listener. */
export function endpointLists(table: TomlTable, options: ListOptions, report: Report): EndpointLists {
  const listOf = (
    key: 'allowed_endpoints' | 'blocked_endpoints',
  ): ReadonlyMap<MethodName, ListEntry> | undefined => {
    const list = table.entries.get(key)?.value;
    return list?.kind === 'array' ? expandList(list, { ...options, key, report }) : undefined;
  };
  const allowed = listOf('allowed_endpoints');
  const blocked = listOf('blocked_endpoints');
  const lists = {
    ...(allowed === undefined ? {} : { allowed }),
    ...(blocked === undefined ? {} : { blocked }),
  };
  checkBothLists(lists, report);
  return lists;
}

function checkBothLists(lists: EndpointLists, report: Report): void {
  const both = new Map<string, ListEntry>();
  for (const [method, block] of lists.blocked ?? []) {
    if (lists.allowed?.get(method)?.entry === block.entry) both.set(block.entry, block);
  }
  for (const { entry, span } of both.values()) {
    report.warning(
      'KA1203',
      span,
      `"${entry}" is in both lists: it is not served`,
      'remove it from one of the two',
    );
  }
}
