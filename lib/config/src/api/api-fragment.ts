import type { ApiDocument, RuleChecker } from '../configuration.js';
import { decodeDocument } from '../document/decode-document.js';
import type { Diagnostic, Span } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';
import { apiDocument, type ListOptions, releaseOf } from '../document/api-document.js';
import { parseToml } from '../toml/parse-toml.js';
import { readSection } from '../settings/read-section.js';
import { looksLikeRego, parseRegoDefaults } from './rego-defaults.js';
import { Report } from '../diagnostics/report.js';
import { readRules } from '../rule/read-rules.js';
import type { TomlTable } from '../toml/toml-value.js';
import { writeSize } from '../value-types/quantities.js';

/** The restrictions in a SetPolicy request, or the errors in it. */
export type ParsedFragment =
  | { readonly ok: true; readonly document: ApiDocument; readonly warnings: readonly Diagnostic[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

const maxFragmentLength = 32 * 1024;

const fragmentKeys: ReadonlySet<string> = new Set([
  'release',
  'allowed_endpoints',
  'blocked_endpoints',
  'rule',
]);

export interface FragmentOptions {
  /** Called when the fragment contains a rule; without it a rule is an error. */
  readonly rules?: () => Promise<RuleChecker>;
  /** The names of the rules in force, which a fragment's rules must not reuse. */
  readonly ruleNames?: Iterable<string>;
}

/**
 * Parses a policy set at run time (S4): a TOML document with only an `[api]` section of lists, a release and rules, or
 * a Rego policy that is a plain list of defaults. Checks are as strict as for documents, and so is the size limit.
 */
export async function parseApiFragment(
  text: string,
  file: string,
  options: FragmentOptions = {},
): Promise<ParsedFragment> {
  const decoded = decodeDocument(Buffer.from(text), file);
  if (!decoded.ok) return { ok: false, diagnostics: [decoded.diagnostic] };
  const { source } = decoded;
  if (looksLikeRego(text)) {
    const rego = parseRegoDefaults(source);
    return rego.ok ? { ...rego, warnings: [] } : rego;
  }
  // Parsing blocks the serving agent: a text of this size takes about ten milliseconds.
  if (text.length > maxFragmentLength) {
    const message = `a fragment has at most ${writeSize(maxFragmentLength)}, this one has ${writeSize(text.length)}`;
    return {
      ok: false,
      diagnostics: [source.error('KA1001', source.span(0, 1), message, 'names and @groups need much less')],
    };
  }
  const toml = parseToml(source);
  if (!toml.ok) return { ok: false, diagnostics: [toml.diagnostic] };
  const report = new Report(source);
  const document = await readFragment(toml.root, options, report);
  if (report.failed || document === undefined) return { ok: false, diagnostics: report.diagnostics };
  return { ok: true, document, warnings: report.diagnostics };
}

async function readFragment(
  root: TomlTable,
  options: FragmentOptions,
  report: Report,
): Promise<ApiDocument | undefined> {
  for (const [key, { span }] of root.entries) {
    if (key !== 'api') notHere(`${quote(key)} cannot be set while the agent runs`, span, report);
  }
  const api = root.entries.get('api')?.value;
  if (api?.kind !== 'table') {
    notHere('there is no [api] section', root.entries.get('api')?.span ?? root.span, report);
    return undefined;
  }
  for (const [key, { span }] of api.entries) {
    if (!fragmentKeys.has(key)) notHere(`${quote(key)} cannot be set while the agent runs`, span, report);
  }
  const known = new Map(Array.from(api.entries).filter(([key]) => fragmentKeys.has(key) && key !== 'rule'));
  const table: TomlTable = { ...api, entries: known };
  const lists = { release: releaseOf(readSection('api', table, report)), handlers: undefined };
  const rules = await readFragmentRules(api, options, lists, report);
  return apiDocument(table, { rules, listeners: new Map() }, lists, report);
}

async function readFragmentRules(
  api: TomlTable,
  options: FragmentOptions,
  lists: ListOptions,
  report: Report,
): Promise<ApiDocument['rules']> {
  const entry = api.entries.get('rule');
  if (entry === undefined) return [];
  if (options.rules === undefined) {
    report.error('KA1314', entry.span, 'rules cannot be checked here', 'leave them out');
    return [];
  }
  const rules = await readRules(entry, { ...lists, role: 'later', rules: options.rules }, report);
  const taken = new Set(options.ruleNames);
  for (const { name, span } of rules) {
    if (taken.has(name))
      report.error(
        'KA1107',
        span,
        `a rule with the name ${quote(name)} is in force already`,
        'give it another name',
      );
  }
  return rules;
}

function notHere(message: string, span: Span, report: Report): void {
  report.error(
    'KA1801',
    span,
    message,
    'write [api] with allowed_endpoints, blocked_endpoints, release or [[api.rule]]',
  );
}
