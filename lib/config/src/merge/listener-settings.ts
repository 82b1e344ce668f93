import type { ApiSettings, LimitSettings } from '../configuration.js';
import type {
  CallerSettings,
  DialSettings,
  HandshakeLimits,
  ListenerSettings,
  PeerList,
  TlsSettings,
} from '../listener.js';
import { place } from '../diagnostics/diagnostic.js';
import type { ParsedDocument } from '../parse/parsed-document.js';
import { limitSettings } from '../settings/limit-settings.js';
import { dialledAddress, implicitListener, listenerPlace } from '../listener/listener-place.js';
import { listenerLimitRows, type OwnLimits } from '../listener/listener-keys.js';
import { type PemTexts, pemKey } from './named-files.js';
import type { ListenerEntry } from '../listener/read-listeners.js';

/** The peers of a listener that sets none (S24). */
const defaultPeers: PeerList = ['host'];

/** What the base document says of a listener; `server_addr` alone says nothing. */
type Own = Partial<
  Pick<
    ListenerEntry,
    | 'peers'
    | 'onDeniedRead'
    | 'limits'
    | 'management'
    | 'tls'
    | 'operators'
    | 'relay'
    | 'proxy'
    | 'delivered'
    | 'awaited'
  >
>;

/**
 * Returns the listeners that the agent opens: those of the base document, otherwise one at `server_addr`. Each further
 * document can narrow them by name (S25).
 */
export function listenerSettings(
  documents: readonly ParsedDocument[],
  general: { readonly serverAddr: string; readonly onDeniedRead: ApiSettings['onDeniedRead'] },
  pemTexts: PemTexts['texts'],
): readonly ListenerSettings[] {
  const [base, ...later] = documents;
  const settingsOf = (name: string, address: string, own: Own): ListenerSettings => {
    const narrowing = later.flatMap(({ listeners }) => listeners.filter((entry) => entry.name === name));
    const limitOf = limitsOf(own, narrowing, documents);
    const at = listenerPlace(address, own.relay);
    // A trusted server makes all calls itself.
    const isAlone = at === 'trusted';
    const dials = isAlone || at === 'operator-tls';
    // With certificates there is no default, and a delivered document lists them where the base document does not.
    const first = own.peers?.value ?? (at === 'local' ? defaultPeers : undefined);
    const lists = first === undefined ? [] : [first];
    for (const { peers } of narrowing) if (peers !== undefined) lists.push(peers.value);
    return {
      name,
      address,
      peers: withoutRepetition(lists),
      onDeniedRead: own.onDeniedRead ?? general.onDeniedRead,
      limits: { connections: isAlone ? 1 : limitOf('connections') },
      management: own.management ?? [],
      ...(dials ? { dial: dialSettings(name, own, pemTexts, limitOf) } : {}),
      ...(at === 'tls' ? { tls: tlsSettings(name, pemTexts, limitOf) } : {}),
      ...(own.delivered === undefined ? {} : { delivered: placesOf(own.delivered) }),
      ...(own.awaited === undefined ? {} : { awaited: [...own.awaited] }),
    };
  };
  const written = (base?.listeners ?? []).map((entry) =>
    settingsOf(entry.name, entry.address?.value ?? dialledAddress, entry),
  );
  return written.length > 0 ? written : [settingsOf(implicitListener, general.serverAddr, {})];
}

function placesOf(delivered: NonNullable<Own['delivered']>): ListenerSettings['delivered'] & object {
  return Object.fromEntries([...delivered].map(([key, span]) => [key, place(span)]));
}

function tlsSettings(
  name: string,
  texts: PemTexts['texts'],
  limitOf: (limit: keyof HandshakeLimits) => number,
): TlsSettings {
  const certificate = texts.get(pemKey(name, 'certificate'));
  const key = texts.get(pemKey(name, 'key'));
  return {
    ...callerSettings(name, texts, limitOf),
    ...(certificate === undefined || key === undefined ? {} : { staticIdentity: { certificate, key } }),
  };
}

function callerSettings(
  name: string,
  texts: PemTexts['texts'],
  limitOf: (limit: keyof HandshakeLimits) => number,
): CallerSettings {
  const clientCrl = texts.get(pemKey(name, 'clientCrl'));
  return {
    // Absent only where files of the guest are not read, and no agent runs.
    clientCa: texts.get(pemKey(name, 'clientCa')) ?? '',
    limits: {
      handshakes: limitOf('handshakes'),
      handshakesPerSecond: limitOf('handshakesPerSecond'),
      handshakeTimeoutMs: limitOf('handshakeTimeoutMs'),
    },
    ...(clientCrl === undefined ? {} : { clientCrl }),
  };
}

function dialSettings(
  name: string,
  { tls, operators, relay, proxy }: Own,
  texts: PemTexts['texts'],
  limitOf: (limit: keyof HandshakeLimits) => number,
): DialSettings {
  return {
    // Absent only where files of the guest are not read, and no agent runs.
    serverCa: texts.get(pemKey(name, 'serverCa')) ?? '',
    pins: tls?.value.pins ?? [],
    relay:
      relay === 'trusted'
        ? { kind: 'trusted' }
        : {
            kind: 'operator-tls',
            callers: callerSettings(name, texts, limitOf),
            ...(operators === undefined ? {} : { operators }),
          },
    handshakeTimeoutMs: limitOf('handshakeTimeoutMs'),
    ...(proxy === undefined ? {} : { proxy }),
  };
}

/**
 * Removes lists that exclude nobody: repeated ones, and those with `any` where another one has not. At least one
 * remains, if there is one.
 */
function withoutRepetition(lists: readonly PeerList[]): readonly PeerList[] {
  const narrow = lists.filter((list) => !list.includes('any'));
  if (narrow.length === 0) return lists.slice(0, 1);
  return [...new Map(narrow.map((list) => [JSON.stringify(list.toSorted()), list])).values()];
}

/**
 * Returns the limits of a listener: its own in the base document, otherwise those of `[limits]` there. What a further
 * document sets, in `[limits]` or for the listener, can only lower them.
 */
function limitsOf(
  own: Own,
  narrowing: readonly ListenerEntry[],
  [base, ...later]: readonly ParsedDocument[],
): (limit: keyof OwnLimits) => number {
  return (limit) => {
    const { shared, default: usual } = listenerLimitRows[limit];
    const first = own.limits?.[limit] ?? sharedLimit(base, shared) ?? usual;
    const others = [
      ...later.map((document) => sharedLimit(document, shared)),
      ...narrowing.map(({ limits }) => limits?.[limit]),
    ];
    return Math.min(first, ...others.filter((value) => value !== undefined));
  };
}

function sharedLimit(
  document: ParsedDocument | undefined,
  limit: keyof LimitSettings | undefined,
): number | undefined {
  if (limit === undefined) return undefined;
  const value = document?.sections.limits.get(limitSettings[limit].key)?.value;
  return typeof value === 'number' ? value : undefined;
}
