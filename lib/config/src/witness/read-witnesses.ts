import { parseVerifier } from '@kata-agent/tlog';
import type { Span } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';
import {
  type DocumentRole,
  type EntryKeyRow,
  entryTables,
  type Located,
  readEntry,
  readNamed,
} from '../document/entry-key.js';
import type { Report } from '../diagnostics/report.js';
import type { ListenerEntry } from '../listener/read-listeners.js';
import { auditSettings } from '../settings/audit-settings.js';
import type { GivenSection } from '../settings/read-section.js';
import type { TomlEntry, TomlTable } from '../toml/toml-value.js';
import { isWitnessAddress } from '../value-types/addresses.js';
import { witnessKeys } from './witness-keys.js';

const rows: readonly EntryKeyRow[] = Object.values<EntryKeyRow>(witnessKeys);

/** A parsed `[[audit.witness]]`. */
export interface WitnessEntry {
  /** The name of its key. */
  readonly name: string;
  readonly key: string;
  readonly via: Located<string>;
  /** A path, or PEM text. */
  readonly ca?: Located<string>;
  /** The position of its key. */
  readonly span: Span;
}

/** Each is asked with a connection of its own for each checkpoint. */
const maxWitnesses = 16;

/** Reads all `[[audit.witness]]` tables of a document. */
export function readWitnesses(
  entry: TomlEntry | undefined,
  role: DocumentRole,
  report: Report,
): readonly WitnessEntry[] {
  if (entry === undefined) return [];
  const tables = entryTables('audit.witness', entry.value, entry.span, report);
  if (role === 'later' && tables.length > 0) {
    const message = 'witnesses are allowed only in the base document';
    report.error('KA1709', entry.span, message, 'remove [[audit.witness]] from this document');
    return [];
  }
  const witnesses = readNamed('audit.witness', tables, (table) => readWitness(table, role, report), report);
  checkKeys(witnesses, report);
  if (witnesses.length > maxWitnesses)
    report.error(
      'KA1407',
      entry.span,
      `there are ${witnesses.length} witnesses, and at most ${maxWitnesses} are asked`,
      'remove some',
    );
  return witnesses;
}

function readWitness(table: TomlTable, role: DocumentRole, report: Report): WitnessEntry | undefined {
  const given = readEntry(rows, withoutSettings(table, report), role, report);
  const written = (key: string): Located<string> | undefined => {
    const found = given.get(key);
    return found === undefined ? undefined : { value: String(found.value), span: found.node.span };
  };
  const [key, via, ca] = [written('key'), written('via'), written('ca')];
  if (via !== undefined) checkCa(via, ca, report);
  if (key === undefined || via === undefined) return undefined;
  const { name } = parseVerifier(key.value);
  return { name, key: key.value, via, ...(ca === undefined ? {} : { ca }), span: key.span };
}

/** Reports keys of `[audit]` below a witness: in TOML they belong to it there. Returns the rest. */
function withoutSettings(table: TomlTable, report: Report): TomlTable {
  const names = Object.values(auditSettings).map(({ key }) => key);
  const misplaced = [...table.entries].filter(([key]) => names.includes(key));
  for (const [key, { span }] of misplaced)
    report.error(
      'KA1101',
      span,
      `${key} is a key of [audit], and below [[audit.witness]] it is one of that witness`,
      `move ${key} to [audit], above the first [[audit.witness]]`,
    );
  return { ...table, entries: new Map([...table.entries].filter(([key]) => !names.includes(key))) };
}

function checkCa(via: Located<string>, ca: Located<string> | undefined, report: Report): void {
  if (isWitnessAddress(via.value) && ca === undefined)
    report.error(
      'KA1407',
      via.span,
      'a witness at an https:// address must have ca',
      'name the CA of its server: ca = "/etc/kata-agent/witness-ca.pem"',
    );
  if (!isWitnessAddress(via.value) && ca !== undefined)
    report.error(
      'KA1407',
      ca.span,
      `ca has no effect: the listener ${quote(via.value)} has the CA of its server`,
      'remove it',
    );
}

/** One key under two names would count twice for the quorum. */
function checkKeys(witnesses: readonly WitnessEntry[], report: Report): void {
  const seen = new Map<string, WitnessEntry>();
  for (const witness of witnesses) {
    const bytes = Buffer.from(parseVerifier(witness.key).publicKey).toString('hex');
    const before = seen.get(bytes);
    if (before === undefined) seen.set(bytes, witness);
    else if (!report.full)
      report.error(
        'KA1407',
        witness.span,
        `${quote(before.name)} has this key already, in ${before.span.file}:${before.span.line}`,
        'remove one of the two: a key counts once for the quorum',
      );
  }
}

/** Checks what `[audit]` demands of the witnesses, and that the listeners are there that some are reached by. */
export function checkWitnesses(
  { audit, witnesses }: { readonly audit: GivenSection; readonly witnesses: readonly WitnessEntry[] },
  listeners: readonly ListenerEntry[],
  report: Report,
): void {
  for (const { via } of witnesses) if (!isWitnessAddress(via.value)) checkListener(via, listeners, report);
  const quorum = audit.get(auditSettings.witnessQuorum.key);
  // The default is accepted without a witness, too.
  if (quorum !== undefined && Number(quorum.value) > Math.max(1, witnesses.length))
    report.error(
      'KA1407',
      quorum.span,
      `witness_quorum is ${Number(quorum.value)}, and there ${count(witnesses.length)}`,
      witnesses.length === 0 ? 'add [[audit.witness]], or remove it' : `write at most ${witnesses.length}`,
    );
  const within = audit.get(auditSettings.requiredWithin.key);
  if (within === undefined || within.value === 'off') return;
  if (witnesses.length === 0)
    report.error(
      'KA1407',
      within.span,
      'required_within needs a witness, and there is none',
      'add [[audit.witness]], or write required_within = "off"',
    );
  const every = Number(
    audit.get(auditSettings.checkpointEveryMs.key)?.value ?? auditSettings.checkpointEveryMs.default,
  );
  if (Number(within.value) >= 2 * every) return;
  const write = (ms: number): string => auditSettings.checkpointEveryMs.type.write(ms);
  report.error(
    'KA1407',
    within.span,
    `required_within is less than twice checkpoint_every, which is ${write(every)}: calls would be refused while witnesses answer`,
    `write at least ${write(2 * every)}, or a shorter checkpoint_every`,
  );
}

function count(witnesses: number): string {
  if (witnesses === 0) return 'is no witness';
  return witnesses === 1 ? 'is 1 witness' : `are ${witnesses} witnesses`;
}

function checkListener(
  { value, span }: Located<string>,
  listeners: readonly ListenerEntry[],
  report: Report,
): void {
  const dials = listeners.filter(
    // Without an address may_set names it, which allows https:// only.
    ({ address }) => address === undefined || address.value.startsWith('https://'),
  );
  if (report.full || dials.some(({ name }) => name === value)) return;
  const isThere = listeners.some(({ name }) => name === value);
  const names = dials.map(({ name }) => quote(name)).join(', ');
  report.error(
    'KA1407',
    span,
    isThere ? `the listener ${quote(value)} dials no server` : `there is no listener ${quote(value)}`,
    names === ''
      ? 'add a [[listener]] with an https:// address, or write the https:// address of the witness'
      : `these dial: ${names}; or write the https:// address of the witness`,
  );
}
