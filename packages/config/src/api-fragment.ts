import type { ApiDocument, RuleChecker } from './configuration.js';
import { decodeDocument } from './decode-document.js';
import type { Diagnostic, Span } from './diagnostic.js';
import { quote } from './display-text.js';
import { apiDocument, type ListOptions, releaseOf } from './document/api-document.js';
import { parseToml } from './parse-toml.js';
import { readSection } from './read-section.js';
import { looksLikeRego, parseRegoDefaults } from './rego-defaults.js';
import { Report } from './report.js';
import { readRules } from './rule/read-rules.js';
import type { TomlTable } from './toml-value.js';
import { writeSize } from './value-types/size.js';

/** What SetPolicy brings: restrictions to add to those in force, or what is wrong with it. */
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
  /** Asked for when the fragment has a rule; without it a rule is an error. */
  readonly rules?: () => Promise<RuleChecker>;
  /** The names of the rules in force: a fragment's rule needs another. */
  readonly ruleNames?: Iterable<string>;
}

/**
 * Reads a policy that arrives at run time (S4): a TOML document with an `[api]` that holds lists, a release and rules
 * and nothing else, or a Rego text that is a plain list of defaults. It is as strict as a document, and as limited in size.
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
  // The agent is serving while it parses this: a text of this size takes some ten milliseconds.
  if (text.length > maxFragmentLength) {
    const message = `a fragment has at most ${writeSize(maxFragmentLength)}, this one has ${writeSize(text.length)}`;
    return {
      ok: false,
      diagnostics: [source.error(source.span(0, 1), message, 'names and @groups need much less')],
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
    report.error(entry.span, 'rules cannot be checked here', 'leave them out');
    return [];
  }
  const rules = await readRules(entry, { ...lists, role: 'later', rules: options.rules }, report);
  const taken = new Set(options.ruleNames);
  for (const { name, span } of rules) {
    if (taken.has(name))
      report.error(span, `a rule with the name ${quote(name)} is in force already`, 'give it another name');
  }
  return rules;
}

function notHere(message: string, span: Span, report: Report): void {
  report.error(
    span,
    message,
    'write [api] with allowed_endpoints, blocked_endpoints, release or [[api.rule]]',
  );
}
