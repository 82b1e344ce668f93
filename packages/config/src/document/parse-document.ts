import type { MethodName } from '@kata-agent/catalogue';
import { createHash } from 'node:crypto';
import type { RuleChecker, SectionName } from '../configuration.js';
import { decodeDocument } from '../decode-document.js';
import { type ListenerEntry, readListeners } from '../listener/read-listeners.js';
import { nearest } from '../nearest.js';
import { parseToml } from '../parse-toml.js';
import { type GivenSection, readSection, unknown } from '../read-section.js';
import { Report } from '../report.js';
import { readRules } from '../rule/read-rules.js';
import { settings } from '../settings/settings.js';
import type { SourceText } from '../source-text.js';
import type { TomlTable } from '../toml-value.js';
import { apiDocument, releaseOf } from './api-document.js';
import type { DocumentRole } from './entry-key.js';
import type { DocumentOutcome, ParsedDocument } from './parsed-document.js';
import { checkTopLevel, sectionNames, sectionTable } from './top-level.js';

export interface ParseOptions {
  readonly role: DocumentRole;
  /** The methods whose handlers are in the bundle; undefined: all. */
  readonly handlers?: ReadonlySet<MethodName> | undefined;
  /** Asked for when the document has a rule. */
  readonly rules: () => Promise<RuleChecker>;
}

/**
 * Reads a document: hashes exactly the bytes that it parses (S6), and tells all that is wrong with it at once, save
 * that a syntax error hides what follows.
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
    readSection(name, name === 'api' ? withoutRules(api) : (tables.get(name) ?? root), report);
  const sections = {
    agent: settingsOf('agent'),
    api: settingsOf('api'),
    delivery: settingsOf('delivery'),
    measurement: settingsOf('measurement'),
    audit: settingsOf('audit'),
    limits: settingsOf('limits'),
  };
  checkOverridable(tables.get('agent'), report);
  if (role === 'base') checkDelivery(root, sections.delivery, report);
  const lists = { release: releaseOf(sections.api), handlers: options.handlers };
  const listeners = readListeners(root.entries.get('listener'), role, lists, report);
  checkOneAddress(sections.agent, listeners, report);
  const rules = await readRules(api.entries.get('rule'), { ...lists, role, rules: options.rules }, report);
  const parts = { rules, listeners: new Map(listeners.map((entry) => [entry.name, entry.lists])) };
  return {
    file: source.file,
    role,
    sections,
    api: apiDocument(api, parts, lists, report),
    listeners,
    apiSpan: api.span,
    lineOf: (span) => source.line(span.line),
  };
}

/** `[api]` without its rules, which are no setting. */
function withoutRules(api: TomlTable): TomlTable {
  return { ...api, entries: new Map(Array.from(api.entries).filter(([key]) => key !== 'rule')) };
}

/** `overridable` names keys of `[agent]` that have overrides. */
function checkOverridable(agent: TomlTable | undefined, report: Report): void {
  const list = agent?.entries.get('overridable')?.value;
  if (list?.kind !== 'array') return;
  const keys = settings.filter((row) => row.override !== undefined).map((row) => row.key);
  for (const item of list.items) {
    if (report.full) break;
    if (item.kind !== 'string' || keys.includes(item.value)) continue;
    const near = nearest(item.value, keys);
    const help = near === undefined ? 'docs/reference/settings.md lists the keys' : `did you mean "${near}"?`;
    report.error(item.span, unknown('key', item.value, 'in overridable'), help);
  }
}

/** `[delivery]` that accepts nothing would be a promise that nothing keeps. */
function checkDelivery(root: TomlTable, delivery: GivenSection, report: Report): void {
  const entry = root.entries.get('delivery');
  if (entry?.value.kind !== 'table') return;
  const accept = delivery.get('accept');
  const written = entry.value.entries.has('accept');
  const empty = Array.isArray(accept?.value) && accept.value.length === 0;
  if (written && !empty) return;
  report.error(
    accept?.span ?? entry.span,
    '[delivery] accepts no way by which a document could come',
    'write accept = ["initdata"], "fw_cfg", "kernel_line" or "drop_ins", or remove the section',
  );
}

/** Two keys that say where the API is served: one of them would be ignored. */
function checkOneAddress(agent: GivenSection, listeners: readonly ListenerEntry[], report: Report): void {
  const address = agent.get('server_addr');
  const [listener] = listeners;
  if (address === undefined || listener?.address === undefined) return;
  report.error(
    address.span,
    `server_addr does nothing beside [[listener]] in line ${listener.span.line}`,
    'remove one of the two',
  );
}
