import { isMethodName, type MethodName } from '@kata-agent/catalogue';
import {
  type Diagnostic,
  describeToml,
  methodsOfRequest,
  type SourceText,
  type Span,
  type TomlEntry,
} from '@kata-agent/config';
import type { MigratedList } from './migrated-part.js';

const gone: ReadonlySet<string> = new Set([
  'ListProcessesRequest',
  'StartTracingRequest',
  'StopTracingRequest',
  'PullImageRequest',
]);

/** Whether Kata had a request of this name that it has no more. */
export function isGone(request: string): boolean {
  return gone.has(request);
}

/**
 * The former `[endpoints] allowed = ["CreateContainerRequest", …]`, which Kata's agent had from 2.3.0 to 3.2 and does
 * not look at any more. It named types of requests, so that `ReadStreamRequest` was of two methods. A name that it did
 * not know allowed nothing, without a word; that stays so, with one.
 */
export function endpointsSection(entry: TomlEntry, source: SourceText, notes: Diagnostic[]): MigratedList {
  const allowed = new Map<MethodName, { entry: string; span: Span }>();
  const note = (span: Span, message: string, help: string): void => {
    notes.push(source.warning(span, message, help));
  };
  const table = entry.value.kind === 'table' ? entry.value.entries : new Map<string, TomlEntry>();
  for (const [key, { span }] of table) {
    if (key !== 'allowed') note(span, `[endpoints] has no key ${key}`, 'it is left out');
  }
  const list = table.get('allowed')?.value;
  if (list?.kind !== 'array') {
    note(entry.span, '[endpoints] without a list allowed allows nothing', 'nothing is allowed here either');
    return { allowed };
  }
  for (const item of list.items) {
    if (item.kind !== 'string') {
      note(item.span, `an entry of allowed must be a text, not ${describeToml(item)}`, 'it is left out');
      continue;
    }
    const methods = methodsOfRequest.get(item.value);
    if (methods === undefined) note(item.span, `"${item.value}" names no request`, helpForName(item.value));
    for (const method of methods ?? []) allowed.set(method, { entry: item.value, span: item.span });
  }
  return { allowed };
}

function helpForName(name: string): string {
  if (isGone(name)) return 'Kata has it no more: it is left out';
  if (isMethodName(name))
    return `it allowed nothing, since requests were meant; if it should be served, add "${name}" by hand`;
  return 'it allowed nothing, and is left out';
}
