import {
  existedIn,
  endpoints,
  type GroupName,
  groups,
  isGroupName,
  isMethodName,
  type MethodName,
  membersOf,
  methodNames,
} from '@kata-agent/catalogue';
import type { ListEntry } from '../configuration.js';
import type { Span } from '../diagnostic.js';
import { nearest } from '../nearest.js';
import { unknown } from '../read-section.js';
import type { Report } from '../report.js';
import { methodsOfRequest } from '../request-names.js';
import { describeToml, type TomlArray } from '../toml-value.js';

/** What decides how a list is expanded. */
export interface ListContext {
  /** Only an allow-list wants something: what a build or a release lacks is no loss to the other two. */
  readonly key: 'allowed_endpoints' | 'blocked_endpoints' | 'endpoints';
  readonly release: string | undefined;
  /** The methods whose handlers are in the bundle; undefined: all. */
  readonly handlers: ReadonlySet<MethodName> | undefined;
  readonly report: Report;
}

/** The methods that a list covers, each with the first entry that covers it. What is not a name is reported. */
export function expandList(list: TomlArray, context: ListContext): ReadonlyMap<MethodName, ListEntry> {
  const covered = new Map<MethodName, ListEntry>();
  const seen = new Set<string>();
  for (const item of list.items) {
    if (context.report.full) break;
    if (item.kind !== 'string') {
      const message = `an entry of ${context.key} must be a text, not ${describeToml(item)}`;
      context.report.error(item.span, message, 'for example: "ExecProcess", "@pod" or "*"');
      continue;
    }
    if (seen.has(item.value)) {
      context.report.warning(
        item.span,
        `"${item.value}" stands in ${context.key} twice`,
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
  context.report.error(span, unknown('endpoint', entry, `in ${context.key}`), helpForEntry(entry));
  return [];
}

function namedMethod(method: MethodName, span: Span, context: ListContext): readonly MethodName[] {
  const { handlers, release, report } = context;
  if (context.key !== 'allowed_endpoints') return [method];
  if (handlers !== undefined && !handlers.has(method)) {
    report.error(
      span,
      `"${method}" was left out when this agent was built`,
      'remove it, or use another build',
    );
  }
  if (release !== undefined && !existedIn(method, release)) {
    const message = `"${method}" came with ${endpoints[method].release}, after release = "${release}": it is not served`;
    report.warning(span, message, `remove it, or write release = "${endpoints[method].release}"`);
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
      span,
      `"${entry}" is smaller in this build, which leaves out ${absent}`,
      'nothing has to be done',
    );
  }
  return present;
}

const goneMethods: ReadonlyMap<string, string> = new Map([
  ['ListProcesses', '2.0.4'],
  ['StartTracing', '2.3.3'],
  ['StopTracing', '2.3.3'],
]);

function helpForEntry(entry: string): string {
  const former = methodsOfRequest.get(entry);
  if (former !== undefined)
    return `that is the name of a request; its method: ${former.map((m) => `"${m}"`).join(', ')}`;
  const gone = goneMethods.get(entry.replace(/Request$/, ''));
  if (gone !== undefined) return `Kata Containers has not had it since ${gone}: remove it`;
  if (groups.has(`@${entry}` as GroupName)) return `groups are written with @: did you mean "@${entry}"?`;
  if (/[*?]/.test(entry)) return 'patterns are not read: write names, @groups, or "*" alone for all';
  const near = nearest(entry, [...methodNames, ...groups.keys()]);
  if (near !== undefined) return `did you mean "${near}"?`;
  return 'kata-agent-ctl endpoints lists the names and the groups';
}
