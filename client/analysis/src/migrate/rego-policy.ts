import type { MethodName } from '@kata-agent/catalogue';
import {
  type Diagnostic,
  methodsOfRequest,
  type RegoLine,
  regoLines,
  type SourceText,
  type Span,
} from '@kata-agent/config';
import { isGone, type ReadPart } from './migrated-part.js';

/** A run of unreadable lines. */
interface Unread {
  readonly first: Span;
  last: number;
  readonly methods: Set<MethodName>;
}

/**
 * Reads a Rego policy that is a list of `default NAMERequest := true` or `false`. Rules cannot be converted, and a rule
 * can deny what its default allows: a method whose request appears outside of a default is not served, so that the
 * result never serves more than the policy did.
 */
export function readRegoPolicy(source: SourceText): ReadPart {
  const lines = [...regoLines(source)];
  const raw = lines.find((line) => line.kind === 'other' && opensRawString(source.line(line.span.line)));
  if (raw !== undefined) {
    const message = 'strings over several lines are not supported';
    const help =
      'generate a configuration from the workload instead: kata-agent-ctl config generate --pod POD.yaml';
    return { ok: false, diagnostics: [source.error('KA1904', raw.span, message, help)] };
  }
  const unread = unreadRuns(lines, source);
  const ruled = new Set(unread.flatMap((run) => [...run.methods]));
  const notes = unread.map((run) => unreadNote(run, source));
  const allowed = new Map<MethodName, { entry: string; span: Span }>();
  const refused = new Set<MethodName>();
  for (const line of lines) {
    if (line.kind !== 'default') continue;
    const methods = methodsOfRequest.get(line.request);
    if (methods === undefined) notes.push(unknownNote(line.request, line.span, source));
    for (const method of methods ?? []) {
      if (line.allowed) allowed.set(method, { entry: line.request, span: line.span });
      else refused.add(method);
    }
  }
  for (const method of [...ruled, ...refused]) allowed.delete(method);
  return { ok: true, part: { settings: [], list: { allowed }, notes } };
}

/** A raw string can span lines that look like lines of the policy. */
function opensRawString(line: string): boolean {
  return (line.split('`').length - 1) % 2 === 1;
}

function unreadRuns(lines: readonly RegoLine[], source: SourceText): readonly Unread[] {
  const runs: Unread[] = [];
  let before: RegoLine['kind'] | undefined;
  for (const line of lines) {
    if (line.kind === 'other') {
      if (before !== 'other') runs.push({ first: line.span, last: line.span.line, methods: new Set() });
      const run = runs.at(-1);
      if (run !== undefined) {
        run.last = line.span.line;
        // The whole line, comments included: too few methods served is the safe error.
        for (const [word] of source.line(line.span.line).matchAll(/[A-Za-z_]\w*/g))
          for (const method of methodsOfRequest.get(word) ?? []) run.methods.add(method);
      }
    }
    before = line.kind;
  }
  return runs;
}

function unreadNote({ first, last, methods }: Unread, source: SourceText): Diagnostic {
  const where = last === first.line ? `line ${last} is` : `lines ${first.line} to ${last} are`;
  const message = `${where} not a list of defaults, and cannot be converted`;
  const names = [...methods];
  const help =
    names.length === 0
      ? 'no method is served because of it'
      : `not served because of it: ${names.join(', ')}; write [[api.rule]] for them, or generate rules: kata-agent-ctl config generate --pod POD.yaml`;
  return source.warning('KA1904', first, message, help);
}

function unknownNote(request: string, span: Span, source: SourceText): Diagnostic {
  const help = isGone(request) ? 'ignored: Kata removed this request' : 'ignored';
  return source.warning('KA1903', span, `"${request}" is not a request of this API`, help);
}
