import {
  announcedMethods,
  endpoints,
  existedIn,
  type GroupName,
  groups,
  isGroupName,
  isMethodName,
  membersOf,
  type MethodName,
  methodNames,
} from '@kata-agent/catalogue';
import type { ApiDocument, EndpointLists, ListEntry } from '../configuration.js';
import type { Span } from '../diagnostics/diagnostic.js';
import { nearest } from '../diagnostics/misspelled-name.js';
import { type GivenSection, unknown } from '../settings/read-section.js';
import type { Report } from '../diagnostics/report.js';
import { describeToml, type TomlArray, type TomlTable } from '../toml/toml-value.js';

/** Requests whose names do not follow from the method in agent.proto. Kata's policies use request names. */
const irregular: ReadonlyMap<MethodName, string> = new Map([
  ['WriteStdin', 'WriteStreamRequest'],
  ['ReadStdout', 'ReadStreamRequest'],
  ['ReadStderr', 'ReadStreamRequest'],
  ['GetGuestDetails', 'GuestDetailsRequest'],
  ['GetVolumeStats', 'VolumeStatsRequest'],
  ['MemAgentMemcgSet', 'MemAgentMemcgConfig'],
  ['MemAgentCompactSet', 'MemAgentCompactConfig'],
]);

/** The methods that take a request, by the request's name, as used in Kata's policies and its former `[endpoints]`. */
export const methodsOfRequest: ReadonlyMap<string, readonly MethodName[]> = byRequest();

const goneMethods: ReadonlyMap<string, string> = new Map([
  ['ListProcesses', '2.0.4'],
  ['StartTracing', '2.3.3'],
  ['StopTracing', '2.3.3'],
]);

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

/** How a list is expanded. */
interface ListContext {
  /** Only an allow-list requests methods: one missing in the build or release matters only there. `methods` is of a realm. */
  readonly key: 'allowed_endpoints' | 'blocked_endpoints' | 'endpoints' | 'methods';
  readonly release: string | undefined;
  /** The methods whose handlers are in the bundle; undefined: all. */
  readonly handlers: ReadonlySet<MethodName> | undefined;
  readonly report: Report;
}

/** Expands a list to methods, each with the first entry that covers it. Unknown names are reported. */
export function expandList(list: TomlArray, context: ListContext): ReadonlyMap<MethodName, ListEntry> {
  const covered = new Map<MethodName, ListEntry>();
  const seen = new Set<string>();
  for (const item of list.items) {
    if (context.report.full) break;
    if (item.kind !== 'string') {
      const message = `an entry of ${context.key} must be a text, not ${describeToml(item)}`;
      context.report.error('KA1102', item.span, message, 'for example: "ExecProcess", "@pod" or "*"');
      continue;
    }
    if (seen.has(item.value)) {
      context.report.warning(
        'KA1202',
        item.span,
        `"${item.value}" is in ${context.key} twice`,
        'remove one of the two',
      );
      continue;
    }
    const methods = methodsOf(item.value, item.span, context);
    if (methods.length > 0) seen.add(item.value);
    for (const method of methods) {
      if (!covered.has(method)) covered.set(method, { entry: item.value, span: item.span });
    }
  }
  return covered;
}

function methodsOf(entry: string, span: Span, context: ListContext): readonly MethodName[] {
  if (isMethodName(entry)) return namedMethod(entry, span, context);
  if (entry === '*' || isGroupName(entry)) return groupMethods(entry, span, context);
  context.report.error('KA1201', span, unknown('endpoint', entry, `in ${context.key}`), helpForEntry(entry));
  return [];
}

function namedMethod(method: MethodName, span: Span, context: ListContext): readonly MethodName[] {
  const { handlers, release, report } = context;
  if (context.key !== 'allowed_endpoints') return [method];
  if (handlers !== undefined && !handlers.has(method)) {
    report.error(
      'KA1204',
      span,
      `"${method}" was left out when this agent was built`,
      'remove it, or use another build',
    );
  }
  if (release !== undefined && !existedIn(method, release)) {
    const message = `"${method}" was added in ${endpoints[method].release}, after release = "${release}": it is not served`;
    report.warning('KA1205', span, message, `remove it, or write release = "${endpoints[method].release}"`);
  }
  return [method];
}

function groupMethods(entry: GroupName | '*', span: Span, context: ListContext): readonly MethodName[] {
  const { handlers, release, report } = context;
  const members = membersOf(entry, release);
  if (context.key !== 'allowed_endpoints') return members;
  const present = members.filter((method) => handlers === undefined || handlers.has(method));
  if (present.length < members.length) {
    const absent = members.filter((method) => !present.includes(method)).join(', ');
    report.warning(
      'KA1204',
      span,
      `"${entry}" is smaller in this build, which leaves out ${absent}`,
      'no action is needed',
    );
  }
  return present;
}

function helpForEntry(entry: string): string {
  const former = methodsOfRequest.get(entry);
  if (former !== undefined)
    return `that is the name of a request; its method: ${former.map((m) => `"${m}"`).join(', ')}`;
  const gone = goneMethods.get(entry.replace(/Request$/, ''));
  if (gone !== undefined) return `Kata Containers removed it in ${gone}: remove it`;
  if (announcedMethods.has(entry.replace(/Request$/, '')))
    return `it is announced, in no release of Kata Containers, and never served: remove it (kata-agent-ctl endpoints ${entry})`;
  if (groups.has(`@${entry}` as GroupName)) return `groups start with @: did you mean "@${entry}"?`;
  if (/[*?]/.test(entry)) return 'patterns are not supported: write names, @groups, or "*" alone for all';
  const near = nearest(entry, [...methodNames, ...groups.keys()]);
  if (near !== undefined) return `did you mean "${near}"?`;
  return 'kata-agent-ctl endpoints lists the names and the groups';
}

function byRequest(): Map<string, readonly MethodName[]> {
  const methods = new Map<string, readonly MethodName[]>();
  for (const method of methodNames) {
    const request = irregular.get(method) ?? `${method}Request`;
    methods.set(request, [...(methods.get(request) ?? []), method]);
  }
  return methods;
}
