import type { MethodName } from '@kata-agent/catalogue';
import { createHash } from 'node:crypto';
import type { Rule, RuleChecker, SectionName } from '../configuration.js';
import { decodeDocument } from '../document/decode-document.js';
import { checkImage } from './check-image.js';
import { checkMaySet } from '../listener/check-may-set.js';
import { checkEvidence, checkMeasurement } from './check-evidence.js';
import { type MaySet, nothingMaySet } from '../value-types/may-set.js';
import { type ListenerEntry, readListeners } from '../listener/read-listeners.js';
import { nearest } from '../diagnostics/misspelled-name.js';
import { parseToml } from '../toml/parse-toml.js';
import { type GivenSection, readDelivery, readSection, unknown } from '../settings/read-section.js';
import { Report } from '../diagnostics/report.js';
import { profileKeys } from '../profile/profile-keys.js';
import { type RuleOptions, readRules } from '../rule/read-rules.js';
import { settings } from '../settings/settings.js';
import { checkSecrets, readSecrets } from '../secret/read-secrets.js';
import { checkWitnesses, readWitnesses } from '../witness/read-witnesses.js';
import type { SourceText } from '../diagnostics/diagnostic.js';
import type { TomlTable } from '../toml/toml-value.js';
import { apiDocument, releaseOf } from '../document/api-document.js';
import type { DocumentRole } from '../document/entry-key.js';
import type { DocumentOutcome, ParsedDocument } from './parsed-document.js';
import { checkTopLevel, sectionNames, sectionTable } from '../document/top-level.js';

export interface ParseOptions {
  readonly role: DocumentRole;
  /** The methods whose handlers are in the bundle; undefined: all. */
  readonly handlers?: ReadonlySet<MethodName> | undefined;
  /** Of a further document: what the base document lets it set. */
  readonly maySet?: MaySet;
  /** Called when the document contains a rule. */
  readonly rules: () => Promise<RuleChecker>;
}

/**
 * Parses a document: hashes exactly the parsed bytes (S6), and reports all errors at once, except that a syntax error
 * hides later ones.
 */
export async function parseDocument(
  bytes: Uint8Array,
  file: string,
  options: ParseOptions,
): Promise<DocumentOutcome> {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const decoded = decodeDocument(bytes, file);
  if (!decoded.ok) return { ok: false, diagnostics: [decoded.diagnostic] };
  const toml = parseToml(decoded.source);
  if (!toml.ok) return { ok: false, diagnostics: [toml.diagnostic] };
  const report = new Report(decoded.source);
  const document = await readTree(toml.root, decoded.source, options, report);
  if (report.failed) return { ok: false, diagnostics: report.diagnostics };
  return { ok: true, document: { ...document, sha256, warnings: report.diagnostics } };
}

async function readTree(
  root: TomlTable,
  source: SourceText,
  options: ParseOptions,
  report: Report,
): Promise<Omit<ParsedDocument, 'sha256' | 'warnings'>> {
  const { role } = options;
  checkTopLevel(root, report);
  const tables = new Map(sectionNames.map((name) => [name, sectionTable(name, root, report)]));
  const api = tables.get('api') ?? root;
  const settingsOf = (name: SectionName): GivenSection =>
    readSection(name, settingsIn(name, tables.get(name) ?? root), report);
  const sections = {
    agent: settingsOf('agent'),
    api: settingsOf('api'),
    delivery: settingsOf('delivery'),
    measurement: settingsOf('measurement'),
    image: settingsOf('image'),
    evidence: settingsOf('evidence'),
    audit: settingsOf('audit'),
    limits: settingsOf('limits'),
  };
  checkOverridable(tables.get('agent'), report);
  if (role === 'base') checkDelivery(root, sections.delivery, report);
  const maySet =
    role === 'base'
      ? { names: new Set(readDelivery(sections.delivery).maySet) }
      : (options.maySet ?? nothingMaySet);
  const lists = { release: releaseOf(sections.api), handlers: options.handlers };
  const listeners = readListeners(root.entries.get('listener'), role, { ...lists, maySet }, report);
  const witnesses = readWitnesses(tables.get('audit')?.entries.get('witness'), role, report);
  const secrets = readSecrets(root.entries.get('secret'), role, report);
  if (role === 'base') {
    checkSecrets(secrets, sections.agent, report);
    checkWitnesses({ audit: sections.audit, witnesses }, listeners, report);
    checkMaySet(tables.get('delivery'), sections, listeners, report);
    checkOneAddress(sections.agent, listeners, report);
    checkImage(sections, report);
    checkMeasurement(sections.measurement, report);
    checkEvidence(sections.evidence, sections.measurement, report);
  }
  const rules = await rulesOf(api, { ...lists, role, rules: options.rules }, report);
  const parts = { rules, listeners: new Map(listeners.map((entry) => [entry.name, entry.lists])) };
  return {
    file: source.file,
    role,
    sections,
    api: apiDocument(api, parts, lists, report),
    listeners,
    witnesses,
    secrets,
    apiSpan: api.span,
    lineOf: (span) => source.line(span.line),
  };
}

/** Returns the rules of a document: its own, and those of its profile, whose exceptions its own replace in the same place. */
async function rulesOf(api: TomlTable, options: RuleOptions, report: Report): Promise<readonly Rule[]> {
  const own = await readRules(api.entries.get('rule'), options, report);
  if (!Object.keys(profileKeys).some((key) => api.entries.has(key))) return own;
  const { readProfile } = await import('../profile/read-profile.js');
  const checker = await options.rules();
  const ofProfile = readProfile(api, (pattern) => checker.patternFault(pattern), report);
  const named = new Map(own.map((rule) => [rule.name, rule]));
  const replaced = ofProfile.flatMap((each) => {
    if ('except' in each) return named.get(each.except) ?? [];
    const twice = named.get(each.name);
    if (twice === undefined) return each;
    report.error(
      'KA1107',
      twice.span,
      `the profile has a rule with the name "${each.name}"`,
      `give it another name; if it is to take the place of the profile's: profile_except = ["${each.name}"]`,
    );
    return [];
  });
  return [...replaced, ...own.filter((rule) => !replaced.includes(rule))];
}

/** Keys of sections that are not settings. */
const otherKeys: Readonly<Partial<Record<SectionName, readonly string[]>>> = {
  api: ['rule', ...Object.keys(profileKeys)],
  audit: ['witness'],
};

/** Returns the settings of a section. */
function settingsIn(name: SectionName, table: TomlTable): TomlTable {
  return {
    ...table,
    entries: new Map(Array.from(table.entries).filter(([key]) => otherKeys[name]?.includes(key) !== true)),
  };
}

/** Checks that `overridable` names keys of `[agent]` that have overrides. */
function checkOverridable(agent: TomlTable | undefined, report: Report): void {
  const list = agent?.entries.get('overridable')?.value;
  if (list?.kind !== 'array') return;
  const keys = settings.filter((row) => row.override !== undefined).map((row) => row.key);
  for (const item of list.items) {
    if (report.full) break;
    if (item.kind !== 'string' || keys.includes(item.value)) continue;
    const near = nearest(item.value, keys);
    const help = near === undefined ? 'docs/reference/settings.md lists the keys' : `did you mean "${near}"?`;
    report.error('KA1101', item.span, unknown('key', item.value, 'in overridable'), help);
  }
}

/** Reports a `[delivery]` section without effect: it accepts nothing, and says nothing about unused initdata. */
function checkDelivery(root: TomlTable, delivery: GivenSection, report: Report): void {
  const entry = root.entries.get('delivery');
  if (entry?.value.kind !== 'table') return;
  const accept = delivery.get('accept');
  const written = entry.value.entries.has('accept');
  const empty = Array.isArray(accept?.value) && accept.value.length === 0;
  if (written ? !empty : entry.value.entries.has('unused_initdata')) return;
  report.error(
    'KA1701',
    accept?.span ?? entry.span,
    '[delivery] accepts no delivery source',
    'write accept = ["initdata"], "fw_cfg", "kernel_line" or "drop_ins", or remove the section',
  );
}

/** Reports both `server_addr` and a listener, of which one would be ignored. */
function checkOneAddress(agent: GivenSection, listeners: readonly ListenerEntry[], report: Report): void {
  const address = agent.get('server_addr');
  const [listener] = listeners;
  if (address === undefined || listener === undefined) return;
  report.error(
    'KA1108',
    address.span,
    `server_addr has no effect beside [[listener]] in line ${listener.span.line}`,
    'remove one of the two',
  );
}
