import type { EndpointLists } from '../configuration.js';
import type { Span } from '../diagnostics/diagnostic.js';
import { type ListOptions, endpointLists } from '../document/api-document.js';
import {
  type DocumentRole,
  type EntryKeyRow,
  entryTables,
  readEntry,
  readNamed,
} from '../document/entry-key.js';
import type { Report } from '../diagnostics/report.js';
import type { TomlEntry, TomlTable } from '../toml/toml-value.js';
import { listenerKeys } from './listener-keys.js';

const rows: readonly EntryKeyRow[] = Object.values<EntryKeyRow>(listenerKeys);

/** A parsed `[[listener]]`. Address and peers are allowed in the base document only. */
export interface ListenerEntry {
  readonly name: string;
  readonly address?: string;
  readonly peers: readonly string[];
  readonly lists: EndpointLists;
  /** The position of its name. */
  readonly span: Span;
}

/** The peers of a listener that sets none (S24). */
export const defaultPeers: readonly string[] = ['host'];

/** Reads all `[[listener]]` tables of a document. */
export function readListeners(
  entry: TomlEntry | undefined,
  role: DocumentRole,
  options: ListOptions,
  report: Report,
): readonly ListenerEntry[] {
  if (entry === undefined) return [];
  const read = (table: TomlTable, index: number): ListenerEntry | undefined => {
    if (role !== 'base' || index === 0) return readListener(table, role, options, report);
    report.error(
      'KA1105',
      table.span,
      'a second [[listener]] is not built yet',
      'remove it: this version opens one listener',
    );
    return undefined;
  };
  return readNamed('listener', entryTables('listener', entry.value, entry.span, report), read, report);
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
      'listen on vsock or a unix socket: address = "vsock://-1:1024"',
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
  const address = given.get('address');
  const peers = given.get('peers');
  const listener: ListenerEntry = {
    name: String(name.value),
    ...(address === undefined ? {} : { address: String(address.value) }),
    peers: peers === undefined ? defaultPeers : (peers.value as readonly string[]),
    lists,
    span: name.node.span,
  };
  if (address !== undefined && peers !== undefined) checkPeers(listener, peers.node.span, report);
  return listener;
}

/** Returns an address scheme that is not supported yet (docs/configuration.md, "Not built yet"). */
function schemeNotBuilt(table: TomlTable): { readonly scheme: string; readonly span: Span } | undefined {
  const address = table.entries.get('address')?.value;
  if (address?.kind !== 'string') return undefined;
  const scheme = /^(tls|https):\/\//.exec(address.value)?.[0];
  return scheme === undefined ? undefined : { scheme, span: address.span };
}

function without(table: TomlTable, key: string): TomlTable {
  return { ...table, entries: new Map(Array.from(table.entries).filter(([other]) => other !== key)) };
}

/** Reports peers that never match: a CID applies to vsock, a uid to unix sockets. */
function checkPeers({ address = '', peers }: ListenerEntry, span: Span, report: Report): void {
  const [scheme, kind] = address.startsWith('vsock:') ? ['vsock', 'uid:'] : ['a unix socket', 'cid:'];
  const strange = peers.find((peer) => peer.startsWith(kind));
  if (strange === undefined) return;
  report.error(
    'KA1401',
    span,
    `"${strange}" never connects to ${scheme}`,
    kind === 'uid:' ? 'name a CID: "cid:2" is the host' : 'name a user: "uid:0" is root',
  );
}
