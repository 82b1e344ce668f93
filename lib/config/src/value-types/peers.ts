import {
  guestVerbs,
  isManagementMethod,
  type ManagementMethod,
  managementMethods,
  type OperatorVerb,
} from '@kata-agent/catalogue';
import { formatPin, parsePeerEntries, parsePin, PeerEntryError } from '@kata-agent/x509';
import { nearest } from '../diagnostics/misspelled-name.js';
import type { OperatorGrant, PeerList, Relay } from '../listener.js';
import { listOfTexts, tableOf } from './collections.js';
import { expected, read, type Reading, type ValueType } from './value-type.js';

const expectedPeers =
  'a list of "host", "any", "cid:N" and "uid:N", or at tls:// of "uri:…", "dns:…", "cn:…", "subject:…" and "spki:sha256:…" or only "*", not empty and each once';

/** Reports whether a peer is named by its certificate, as at `tls://`. */
function isCertificatePeer(entry: string): boolean {
  return entry === '*' || /^(uri|dns|cn|subject|spki):/.test(entry);
}

function isPeer(text: string): boolean {
  if (text === 'host' || text === 'any') return true;
  const number = /^(?:cid|uid):(0|[1-9]\d{0,9})$/.exec(text)?.[1];
  return number !== undefined && Number(number) < 0xffff_ffff;
}

function peersOf(texts: readonly string[]): Reading<readonly string[]> {
  const certificates = texts.filter(isCertificatePeer);
  try {
    parsePeerEntries(certificates);
  } catch (error) {
    if (!(error instanceof PeerEntryError)) throw error;
    return {
      ok: false,
      expected: expectedPeers,
      found: `one with a wrong entry: ${error.message}`,
      help: error.help,
    };
  }
  const fits =
    texts.length > 0 &&
    texts.every((text) => isPeer(text) || isCertificatePeer(text)) &&
    new Set(texts).size === texts.length;
  return fits ? read(texts) : expected(expectedPeers);
}

/** The peers that may connect to a listener. */
export const peers: ValueType<readonly string[]> = listOfTexts({
  name: expectedPeers,
  what: expectedPeers,
  items: {
    type: 'string',
    pattern: '^(host|any|(cid|uid):(0|[1-9]\\d{0,9})|(uri|dns|cn|subject|spki):.+|\\*)$',
  },
  fromTexts: peersOf,
});

/** Verbs of operators, of those that have a meaning where they are written; in their order. */
export function verbList(verbs: readonly OperatorVerb[], help?: string): ValueType<readonly OperatorVerb[]> {
  const what = `a list of ${verbs.map((verb) => `"${verb}"`).join(', ')}, not empty and each once`;
  return listOfTexts<OperatorVerb>({
    name: 'list of verbs',
    what,
    items: { enum: verbs },
    fromTexts: (texts) => {
      const known = verbs.filter((verb) => texts.includes(verb));
      return texts.length > 0 && known.length === texts.length ? read(known) : expected(what, help);
    },
  });
}

const expectedCertificates =
  'a list of "uri:…", "dns:…", "cn:…", "subject:…" and "spki:sha256:…", or only "*", not empty and each once';

/** Peers that certificates name: operators of a realm. */
export const certificatePeers: ValueType<readonly string[]> = listOfTexts({
  name: 'list of peers',
  what: expectedCertificates,
  items: { type: 'string', pattern: '^((uri|dns|cn|subject|spki):.+|\\*)$' },
  fromTexts: (texts): Reading<readonly string[]> => {
    try {
      parsePeerEntries(texts);
    } catch (error) {
      if (!(error instanceof PeerEntryError)) throw error;
      const found = `one with a wrong entry: ${error.message}`;
      return { ok: false, expected: expectedCertificates, found, help: error.help };
    }
    return texts.length > 0 && new Set(texts).size === texts.length
      ? read(texts)
      : expected(expectedCertificates);
  },
});

const grantExample = '{ peers = ["uri:spiffe://example/auditors/*"], verbs = ["connect", "audit"] }';

const expectedGrants = `a list of tables, [${grantExample}], not empty`;

const grant = tableOf<OperatorGrant>(
  {
    peers: { key: 'peers', type: certificatePeers },
    verbs: { key: 'verbs', type: verbList(guestVerbs, 'only the realm decides about list') },
  },
  grantExample,
  ({ peers, verbs }) => {
    if (peers === undefined) return 'without peers';
    return verbs === undefined ? 'without verbs' : undefined;
  },
);

/** What the operators of a listener may do, by the names of their certificates. */
export const operatorGrants: ValueType<readonly OperatorGrant[]> = {
  name: 'list of tables with peers, verbs',
  schema: { type: 'array', items: grant.schema },
  fromToml(value): Reading<readonly OperatorGrant[]> {
    if (value.kind !== 'array' || value.items.length === 0) return expected(expectedGrants);
    const entries: OperatorGrant[] = [];
    for (const item of value.items) {
      const reading = grant.fromToml(item);
      if (!reading.ok) return reading;
      const { peers = [], verbs = [] } = reading.value;
      entries.push({ peers, verbs });
    }
    return read(entries);
  },
  fromText: () => expected(expectedGrants),
  write: (entries) => `[${entries.map((each) => grant.write(each)).join(', ')}]`,
};

const expectedManagement = `a list of ${managementMethods.map((name) => `"${name}"`).join(' and ')}, not empty and each once`;

/** Groups and `*` are not accepted: management is never served by accident. */
function managementOf(texts: readonly string[]): Reading<readonly ManagementMethod[]> {
  const unknown = texts.find((text) => !isManagementMethod(text));
  if (unknown !== undefined) {
    const near = nearest(unknown, managementMethods);
    return expected(
      expectedManagement,
      near === undefined ? 'name each method; no group has one' : `did you mean "${near}"?`,
    );
  }
  const names = texts.filter(isManagementMethod);
  return names.length > 0 && new Set(names).size === names.length
    ? read(names)
    : expected(expectedManagement);
}

/** Methods of the management service. */
export const managementList: ValueType<readonly ManagementMethod[]> = listOfTexts({
  name: 'list of management methods',
  what: expectedManagement,
  items: { enum: managementMethods },
  fromTexts: managementOf,
});

const expectedPins = 'a list of pins spki:sha256: and 64 hex digits, not empty and each once';

/** SPKI pins in lower case, of which a public key must have one. */
export const pins: ValueType<readonly string[]> = listOfTexts({
  name: expectedPins,
  what: expectedPins,
  items: { type: 'string', pattern: '^spki:sha256:[0-9a-fA-F]{64}$' },
  fromTexts: pinsOf,
});

function pinsOf(texts: readonly string[]): Reading<readonly string[]> {
  const valid = texts.map(parsePin).filter((hash) => hash !== undefined);
  const fits = valid.length > 0 && new Set(valid).size === texts.length;
  return fits ? read(valid.map(formatPin)) : expected(expectedPins);
}

/** The forms of peers that connect to a kind of address. */
interface Place {
  readonly name: string;
  readonly fits: (peer: string) => boolean;
  readonly help: string;
}

function placeOf(address: string, relay: Relay): Place {
  const certificates =
    'name certificates: "uri:spiffe://example/ops/*", "cn:auditor", or "*" for all of the CA';
  if (address.startsWith('tls:')) return { name: 'tls://', fits: isCertificatePeer, help: certificates };
  if (address.startsWith('https:'))
    return relay === 'trusted'
      ? {
          name: 'https:// with relay = "trusted", where the server makes all calls',
          fits: () => false,
          help: 'remove peers: server_ca, the name in the address, and pins decide about the server',
        }
      : { name: 'https:// with relay = "operator-tls"', fits: isCertificatePeer, help: certificates };
  const vsock = address.startsWith('vsock:');
  const kind = vsock ? 'cid:' : 'uid:';
  return {
    name: vsock ? 'vsock' : 'a unix socket',
    fits: (peer) => peer === 'host' || peer === 'any' || peer.startsWith(kind),
    help: vsock ? 'name a CID: "cid:2" is the host' : 'name a user: "uid:0" is root',
  };
}

/**
 * Finds a peer that never connects to an address: a CID applies to vsock, a uid to unix sockets, a name to TLS.
 *
 * @param relay of an `https://` address; without effect at others.
 */
export function peerThatNeverConnects(
  address: string,
  relay: Relay,
  peers: PeerList,
): { readonly message: string; readonly help: string } | undefined {
  const { name, fits, help } = placeOf(address, relay);
  const strange = peers.find((peer) => !fits(peer));
  return strange === undefined ? undefined : { message: `"${strange}" never connects to ${name}`, help };
}
