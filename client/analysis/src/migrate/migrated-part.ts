import { isMethodName, type MethodName } from '@kata-agent/catalogue';
import {
  describeToml,
  type Diagnostic,
  methodsOfRequest,
  type SourceText,
  type Span,
  type TomlEntry,
} from '@kata-agent/config';

const gone: ReadonlySet<string> = new Set([
  'ListProcessesRequest',
  'StartTracingRequest',
  'StopTracingRequest',
  'PullImageRequest',
]);

/** A key of `[agent]` in the new form, and its position in the old file. */
export interface MigratedSetting {
  readonly key: string;
  /** In TOML: `"debug"`. */
  readonly value: string;
  readonly span: Span;
}

/** The methods that one old list of endpoints served, by their old names. */
export interface MigratedList {
  readonly allowed: ReadonlyMap<MethodName, { readonly entry: string; readonly span: Span }>;
}

/** The result of one old file. */
export interface MigratedPart {
  readonly settings: readonly MigratedSetting[];
  /** Absent: the file does not mention endpoints. */
  readonly list?: MigratedList;
  /** The position at which this file names another one that decided what is served. */
  readonly policyFile?: Span;
  /** Warnings about what could not be converted. */
  readonly notes: readonly Diagnostic[];
}

export type ReadPart =
  | { readonly ok: true; readonly part: MigratedPart }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** Reports whether Kata once had a request with this name. */
export function isGone(request: string): boolean {
  return gone.has(request);
}

/**
 * Reads the former `[endpoints] allowed = ["CreateContainerRequest", …]`, which Kata's agent had from 2.3.0 to 3.2 and
 * ignores since. It lists request types, so that `ReadStreamRequest` is two methods. Unknown names allowed nothing
 * silently; they still allow nothing, with a warning.
 */
export function endpointsSection(entry: TomlEntry, source: SourceText, notes: Diagnostic[]): MigratedList {
  const allowed = new Map<MethodName, { entry: string; span: Span }>();
  const note = (code: Diagnostic['code'], span: Span, message: string, help: string): void => {
    notes.push(source.warning(code, span, message, help));
  };
  const table = entry.value.kind === 'table' ? entry.value.entries : new Map<string, TomlEntry>();
  for (const [key, { span }] of table) {
    if (key !== 'allowed') note('KA1902', span, `[endpoints] has no key ${key}`, 'ignored');
  }
  const list = table.get('allowed')?.value;
  if (list?.kind !== 'array') {
    note(
      'KA1903',
      entry.span,
      '[endpoints] without a list allowed allows nothing',
      'nothing is allowed here either',
    );
    return { allowed };
  }
  for (const item of list.items) {
    if (item.kind !== 'string') {
      note('KA1903', item.span, `an entry of allowed must be a string, not ${describeToml(item)}`, 'ignored');
      continue;
    }
    const methods = methodsOfRequest.get(item.value);
    if (methods === undefined)
      note('KA1903', item.span, `"${item.value}" is not a request`, helpForName(item.value));
    for (const method of methods ?? []) allowed.set(method, { entry: item.value, span: item.span });
  }
  return { allowed };
}

function helpForName(name: string): string {
  if (isGone(name)) return 'ignored: Kata removed this request';
  if (isMethodName(name))
    return `it allowed nothing, since entries are names of requests; to serve the method, add "${name}" by hand`;
  return 'ignored: it allowed nothing';
}
