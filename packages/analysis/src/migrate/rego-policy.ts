import type { MethodName } from '@kata-agent/catalogue';
import {
  type Diagnostic,
  methodsOfRequest,
  type RegoLine,
  regoLines,
  type SourceText,
  type Span,
} from '@kata-agent/config';
import { isGone } from './endpoints-section.js';
import type { ReadPart } from './migrated-part.js';

/** A run of lines that cannot be read. */
interface Unread {
  readonly first: Span;
  last: number;
  readonly methods: Set<MethodName>;
}

/**
 * Reads a Rego policy as far as it is a plain list of `default NAMERequest := true` or `false`. Rules cannot be carried
 * over: a rule may refuse what its default allows, so every method whose request is named outside of a default is left
 * out, and the result never serves more than the policy did.
 */
export function readRegoPolicy(source: SourceText): ReadPart {
  const lines = [...regoLines(source)];
  const raw = lines.find((line) => line.kind === 'other' && opensRawString(source.line(line.span.line)));
  if (raw !== undefined) {
    const message = 'a text that goes over several lines cannot be read here';
    const help = 'make a configuration from the workload: kata-agent-ctl config generate --pod POD.yaml';
    return { ok: false, diagnostics: [source.error(raw.span, message, help)] };
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

/** A text in backquotes may go over lines, which then look like lines of the policy. */
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
        // The whole line, what looks like a comment too: too much is left out rather than too little.
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
  const message = `${where} no list of defaults, and cannot be carried over`;
  const names = [...methods];
  const help =
    names.length === 0
      ? 'nothing is served by it'
      : `left out for it: ${names.join(', ')}; write them as [[api.rule]], or have rules made: kata-agent-ctl config generate --pod POD.yaml`;
  return source.warning(first, message, help);
}

function unknownNote(request: string, span: Span, source: SourceText): Diagnostic {
  const help = isGone(request) ? 'Kata has it no more: it is left out' : 'it is left out';
  return source.warning(span, `"${request}" names no request of this API`, help);
}
