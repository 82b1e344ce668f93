import type { EndpointLists } from '../configuration.js';
import {
  defaultRelay,
  type ListenerSettings,
  type OperatorGrant,
  type PeerList,
  type Relay,
} from '../listener.js';
import type { Span } from '../diagnostics/diagnostic.js';
import { type ListOptions, endpointLists } from '../document/api-document.js';
import {
  type DocumentRole,
  type EntryKeyRow,
  entryTables,
  type Located,
  readEntry,
  readNamed,
} from '../document/entry-key.js';
import { quote } from '../diagnostics/display-text.js';
import type { Report } from '../diagnostics/report.js';
import type { TomlEntry, TomlTable } from '../toml/toml-value.js';
import { dialAddress } from '../value-types/addresses.js';
import { type MaySet, settableIn, type SettableKey } from '../value-types/may-set.js';
import { isPemText } from '../value-types/sources.js';
import { checkTransport } from './check-transport.js';
import { addressesOverlap } from './listener-place.js';
import { listenerKeys, type OwnLimits, type TlsKeys, tlsPemKeys } from './listener-keys.js';

const rows: readonly EntryKeyRow[] = Object.values<EntryKeyRow>(listenerKeys);

/** A parsed `[[listener]]`. A further document has `address` and `tls` only if `may_set` of the base document names them. */
export interface ListenerEntry {
  readonly name: string;
  readonly address?: Located<string>;
  readonly peers?: Located<PeerList>;
  readonly onDeniedRead?: ListenerSettings['onDeniedRead'];
  readonly limits?: Partial<OwnLimits>;
  readonly management?: ListenerSettings['management'];
  readonly tls?: Located<TlsKeys>;
  readonly operators?: readonly OperatorGrant[];
  /** Of an `https://` address; the default elsewhere. */
  readonly relay: Relay;
  readonly proxy?: string;
  readonly lists: EndpointLists;
  /** The position of its name. */
  readonly span: Span;
  /** The keys that a delivered document has set, and where. */
  readonly delivered?: ReadonlyMap<string, Span>;
  /** The keys that a delivered document sets in the guest, where this is another machine. */
  readonly awaited?: ReadonlySet<SettableKey>;
}

/** How the listeners of a document are read. */
interface ReadOptions extends ListOptions {
  readonly maySet: MaySet;
}

/** Reads all `[[listener]]` tables of a document. */
export function readListeners(
  entry: TomlEntry | undefined,
  role: DocumentRole,
  options: ReadOptions,
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
  options: ReadOptions,
  report: Report,
): ListenerEntry | undefined {
  const settable = settableIn(options.maySet, table);
  const left = (key: string): boolean =>
    [...settable].some((each) => each === key || (role === 'later' && each.startsWith(`${key}.`)));
  const given = readEntry(rows, table, role, report, left);
  const lists = endpointLists(table, options, report);
  const name = given.get('name');
  if (name === undefined) return undefined;
  const written = <T>(key: string): Located<T> | undefined => {
    const found = given.get(key);
    // Each value was parsed by the type of its row.
    return found === undefined ? undefined : { value: found.value as T, span: found.node.span };
  };
  const address = written<string>('address');
  const peers = written<PeerList>('peers');
  const onDeniedRead = written<ListenerSettings['onDeniedRead']>('on_denied_read');
  const limits = written<Partial<OwnLimits>>('limits');
  const management = written<ListenerSettings['management']>('management');
  const tls = written<TlsKeys>('tls');
  const operators = written<readonly OperatorGrant[]>('operators');
  const relay = written<Relay>('relay');
  const proxy = written<string>('proxy');
  if (role === 'later') checkDelivered(table, { address, tls }, options.maySet, report);
  else if (address !== undefined || settable.has('address'))
    checkTransport(
      { address, peers, tls, limits, operators, relay, proxy, settable },
      name.node.span,
      report,
    );
  return {
    name: String(name.value),
    ...(address === undefined ? {} : { address }),
    ...(peers === undefined ? {} : { peers }),
    ...(onDeniedRead === undefined ? {} : { onDeniedRead: onDeniedRead.value }),
    ...(limits === undefined ? {} : { limits: limits.value }),
    ...(management === undefined ? {} : { management: management.value }),
    ...(tls === undefined ? {} : { tls }),
    ...(operators === undefined ? {} : { operators: operators.value }),
    relay: relay?.value ?? defaultRelay,
    ...(proxy === undefined ? {} : { proxy: proxy.value }),
    lists,
    span: name.node.span,
  };
}

/** Reports listeners at one address. */
function checkAddresses(listeners: readonly ListenerEntry[], report: Report): void {
  const before: { readonly name: string; readonly address: Located<string> }[] = [];
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

/** The keys of a listener in a further document that only `may_set` allows there. */
interface Delivered {
  readonly address: Located<string> | undefined;
  readonly tls: Located<TlsKeys> | undefined;
}

/**
 * Reports what a further document must not set of a listener although `may_set` names some of its keys: other keys of `tls`,
 * files of the guest, addresses that are not dialled, and everything if the document is not bound.
 */
function checkDelivered(table: TomlTable, { address, tls }: Delivered, maySet: MaySet, report: Report): void {
  const settable = settableIn(maySet, table);
  const weakly = (key: string, { span }: Located<unknown>): void => {
    if (maySet.weaklyBound === undefined) return;
    report.error(
      'KA1716',
      span,
      `${key} of [[listener]] is set by a document that is bound by ${maySet.weaklyBound}`,
      'deliver it in a document that is bound by host_data or a pin',
    );
  };
  if (address !== undefined) {
    weakly('address', address);
    if (dialAddress(address.value) === undefined)
      report.error(
        'KA1716',
        address.span,
        `a delivered document sets no address like ${quote(address.value)}`,
        'it can set only an https:// address, which the agent dials',
      );
  }
  if (tls === undefined) return;
  weakly('tls', tls);
  const entries = table.entries.get('tls')?.value;
  if (entries?.kind !== 'table') return;
  for (const [key, { span }] of entries.entries) {
    if ([...settable].some((each) => each === `tls.${key}`)) continue;
    report.error(
      'KA1709',
      span,
      `tls.${key} of [[listener]] is allowed only in the base document`,
      'remove it from this document, or name it in may_set of the base document',
    );
  }
  for (const [kind, key] of Object.entries(tlsPemKeys)) {
    const value = tls.value[kind as keyof typeof tlsPemKeys];
    if (value === undefined || isPemText(value)) continue;
    // The digest of a delivered document covers its values.
    report.error(
      'KA1716',
      tls.span,
      `tls.${key} of a delivered document is the path ${quote(value)}`,
      'write the PEM text itself',
    );
  }
}
