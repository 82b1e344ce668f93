import type { EndpointLists, ListenerSettings, PeerList } from '../configuration.js';
import type { Span } from '../diagnostics/diagnostic.js';
import { type ListOptions, endpointLists } from '../document/api-document.js';
import {
  type DocumentRole,
  type EntryKeyRow,
  entryTables,
  readEntry,
  readNamed,
} from '../document/entry-key.js';
import { quote } from '../diagnostics/display-text.js';
import type { Report } from '../diagnostics/report.js';
import type { TomlEntry, TomlTable } from '../toml/toml-value.js';
import { tlsAddress } from '../value-types/listener-address.js';
import { addressesOverlap } from './listener-addresses.js';
import { listenerKeys } from './listener-keys.js';
import { limitsWithoutEffect, type OwnLimits } from './listener-limits.js';
import { peerThatNeverConnects } from './peer-that-never-connects.js';
import type { TlsKeys } from './tls-keys.js';

const rows: readonly EntryKeyRow[] = Object.values<EntryKeyRow>(listenerKeys);

/** A parsed `[[listener]]`. Only in the base document it has an address. */
export interface ListenerEntry {
  readonly name: string;
  readonly address?: Written<string>;
  readonly peers?: Written<PeerList>;
  readonly onDeniedRead?: ListenerSettings['onDeniedRead'];
  readonly limits?: Partial<OwnLimits>;
  readonly management?: ListenerSettings['management'];
  readonly tls?: Written<TlsKeys>;
  readonly lists: EndpointLists;
  /** The position of its name. */
  readonly span: Span;
}

/** A value and its position. */
interface Written<T> {
  readonly value: T;
  readonly span: Span;
}

/** Reads all `[[listener]]` tables of a document. */
export function readListeners(
  entry: TomlEntry | undefined,
  role: DocumentRole,
  options: ListOptions,
  report: Report,
): readonly ListenerEntry[] {
  if (entry === undefined) return [];
  const read = (table: TomlTable): ListenerEntry | undefined => readListener(table, role, options, report);
  const tables = entryTables('listener', entry.value, entry.span, report);
  const listeners = readNamed('listener', tables, read, report);
  checkAddresses(listeners, report);
  return listeners;
}

function readListener(
  table: TomlTable,
  role: DocumentRole,
  options: ListOptions,
  report: Report,
): ListenerEntry | undefined {
  const notBuilt = schemeNotBuilt(table);
  if (notBuilt !== undefined) {
    report.error(
      'KA1105',
      notBuilt.span,
      `an address of ${notBuilt.scheme} is not built yet`,
      'listen instead: address = "vsock://-1:1024"',
    );
  }
  const readable = notBuilt === undefined ? table : without(table, 'address');
  const given = readEntry(
    notBuilt === undefined ? rows : rows.filter(({ key }) => key !== 'address'),
    readable,
    role,
    report,
  );
  const lists = endpointLists(table, options, report);
  const name = given.get('name');
  if (name === undefined) return undefined;
  const written = <T>(key: string): Written<T> | undefined => {
    const found = given.get(key);
    // Each value was parsed by the type of its row.
    return found === undefined ? undefined : { value: found.value as T, span: found.node.span };
  };
  const address = written<string>('address');
  const peers = written<PeerList>('peers');
  const onDeniedRead = written<ListenerSettings['onDeniedRead']>('on_denied_read');
  const limits = written<Partial<OwnLimits>>('limits');
  const management = written<ListenerSettings['management']>('management');
  // Its type has checked that client_ca is there.
  const tls = written<TlsKeys>('tls');
  if (address !== undefined && peers !== undefined) {
    const strange = peerThatNeverConnects(address.value, peers.value);
    if (strange !== undefined) report.error('KA1401', peers.span, strange.message, strange.help);
  }
  if (address !== undefined) checkTls({ address, peers, tls, limits }, name.node.span, report);
  return {
    name: String(name.value),
    ...(address === undefined ? {} : { address }),
    ...(peers === undefined ? {} : { peers }),
    ...(onDeniedRead === undefined ? {} : { onDeniedRead: onDeniedRead.value }),
    ...(limits === undefined ? {} : { limits: limits.value }),
    ...(management === undefined ? {} : { management: management.value }),
    ...(tls === undefined ? {} : { tls }),
    lists,
    span: name.node.span,
  };
}

/** Reports what a `tls://` listener lacks, and what has no effect elsewhere. */
function checkTls(
  {
    address,
    peers,
    tls,
    limits,
  }: {
    readonly address: Written<string>;
    readonly peers: Written<PeerList> | undefined;
    readonly tls: Written<TlsKeys> | undefined;
    readonly limits: Written<Partial<OwnLimits>> | undefined;
  },
  name: Span,
  report: Report,
): void {
  if (tlsAddress(address.value) === undefined) {
    const help = 'remove it, or listen at a tls:// address';
    if (tls !== undefined)
      report.error('KA1405', tls.span, `tls has no effect at ${quote(address.value)}`, help);
    if (limits === undefined) return;
    for (const key of limitsWithoutEffect(address.value, limits.value))
      report.error('KA1405', limits.span, `the limit ${key} has no effect at ${quote(address.value)}`, help);
    return;
  }
  if (tls === undefined)
    report.error(
      'KA1404',
      name,
      'a listener at tls:// must have tls',
      'name the CA of the callers: tls = { client_ca = "/etc/kata-agent/tenant-ca.pem" }',
    );
  if (peers === undefined)
    report.error(
      'KA1404',
      name,
      'a listener at tls:// must have peers',
      'name certificates: peers = ["uri:spiffe://example/ops/*"]; ["*"] is every certificate of the CA',
    );
}

/** Reports listeners at one address. */
function checkAddresses(listeners: readonly ListenerEntry[], report: Report): void {
  const before: { readonly name: string; readonly address: Written<string> }[] = [];
  for (const { name, address } of listeners) {
    if (address === undefined) continue;
    const other = before.find((earlier) => addressesOverlap(earlier.address.value, address.value));
    before.push({ name, address });
    if (other === undefined || report.full) continue;
    const { file, line } = other.address.span;
    report.error(
      'KA1403',
      address.span,
      `the listener ${quote(other.name)} has this address already, ${quote(other.address.value)} in ${file}:${line}`,
      'give each listener a port or a path of its own; the CID -1 stands for every CID',
    );
  }
}

/** Returns an address scheme that is not supported yet (docs/configuration.md, "Not built yet"). */
function schemeNotBuilt(table: TomlTable): { readonly scheme: string; readonly span: Span } | undefined {
  const address = table.entries.get('address')?.value;
  if (address?.kind !== 'string') return undefined;
  const scheme = /^https:\/\//.exec(address.value)?.[0];
  return scheme === undefined ? undefined : { scheme, span: address.span };
}

function without(table: TomlTable, key: string): TomlTable {
  return { ...table, entries: new Map(Array.from(table.entries).filter(([other]) => other !== key)) };
}
