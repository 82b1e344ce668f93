import type { MethodName } from '@kata-agent/catalogue';
import type { ApiDocument, ListEntry } from '../configuration.js';
import type { Diagnostic, SourceText, Span } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';
import { methodsOfRequest } from '../document/api-document.js';

export type ParsedRego =
  | { readonly ok: true; readonly document: ApiDocument }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

const packageLine: RegExp = /^package\s+agent_policy$/;
const defaultLine: RegExp = /^default\s+([A-Za-z_][A-Za-z0-9_]*)\s*:?=\s*(true|false)$/;

/** Reports whether a text is meant as Rego: its first significant line is a package or a default. */
export function looksLikeRego(text: string): boolean {
  const first = text
    .split('\n')
    .map(withoutComment)
    .find((line) => line !== '');
  return first !== undefined && /^(package|default|import)\b/.test(first);
}

/** A line of a Rego policy, as far as it is supported. */
export type RegoLine =
  | { readonly kind: 'default'; readonly request: string; readonly allowed: boolean; readonly span: Span }
  | { readonly kind: 'other'; readonly text: string; readonly span: Span };

/** Yields the significant lines of a policy, without `package agent_policy`, comments and blank lines. */
export function* regoLines(source: SourceText): Generator<RegoLine> {
  let offset = 0;
  for (const raw of source.text.split('\n')) {
    const start = offset + (raw.length - raw.trimStart().length);
    offset += raw.length + 1;
    const text = withoutComment(raw);
    if (text === '' || packageLine.test(text)) continue;
    const span = source.span(start, start + text.length);
    const [, request, value] = defaultLine.exec(text) ?? [];
    if (request === undefined) yield { kind: 'other', text, span };
    else yield { kind: 'default', request, allowed: value === 'true', span };
  }
}

/**
 * Parses a Rego policy that is a plain list of `default NAMERequest := true` or `false` (S4), such as Kata's allow-all
 * and allow-nothing policies. `package agent_policy`, comments and blank lines are accepted; the first other line is
 * the error, since Rego is not evaluated. Names are those of requests, as in Kata, so `ReadStreamRequest` covers two
 * methods; unknown ones are ignored. A method without a default is not allowed.
 */
export function parseRegoDefaults(source: SourceText): ParsedRego {
  const allowed = new Map<MethodName, ListEntry>();
  const seen = new Map<string, number>();
  for (const line of regoLines(source)) {
    const { span } = line;
    if (line.kind === 'other') return refuse(source, span, notADefault(line.text));
    const { request } = line;
    const before = seen.get(request);
    if (before !== undefined) {
      return refuse(source, span, `${quote(request)} has a default already, in line ${before}`);
    }
    seen.set(request, span.line);
    const methods = line.allowed ? (methodsOfRequest.get(request) ?? []) : [];
    for (const method of methods) allowed.set(method, { entry: request, span });
  }
  return { ok: true, document: { file: source.file, allowed, rules: [], listeners: new Map() } };
}

function withoutComment(line: string): string {
  const at = line.indexOf('#');
  return (at === -1 ? line : line.slice(0, at)).trim();
}

function notADefault(line: string): string {
  return `line ${quote(line)} is no default: only "default NAMERequest := true" or "false" can be read`;
}

function refuse(source: SourceText, span: Span, message: string): ParsedRego {
  const help = 'policies with rules are not read here; write them as an [api] fragment in TOML';
  return { ok: false, diagnostics: [source.error('KA1802', span, message, help)] };
}
