import { guestVerbs, type ManagementMethod, operatorVerbTable } from '@kata-agent/catalogue';
import type { LimitSettings } from '../configuration.js';
import {
  defaultRelay,
  type HandshakeLimits,
  type ListenerLimits,
  type OperatorGrant,
  type Relay,
} from '../listener.js';
import type { EntryKey } from '../document/entry-key.js';
import { limitSettings } from '../settings/limit-settings.js';
import { boolean, integer, oneOf } from '../value-types/scalars.js';
import { duration } from '../value-types/quantities.js';
import { managementList, operatorGrants, peers, pins } from '../value-types/peers.js';
import { endpointList, entryName } from '../value-types/text.js';
import { listenerAddress, proxy } from '../value-types/addresses.js';
import { pemSource } from '../value-types/sources.js';
import { tableOf } from '../value-types/collections.js';
import type { ValueType } from '../value-types/value-type.js';
import type { ListenerPlace } from './listener-place.js';

/** What each verb opens in a guest, in words. */
const verbsText = guestVerbs
  .map((verb) => {
    const { opensAgent, management } = operatorVerbTable[verb];
    const opened = [
      ...(opensAgent ? ['the methods that the lists and rules of the listener allow'] : []),
      ...management,
    ];
    return `${verb} opens ${conjunction(opened)}`;
  })
  .join('; ');

/** "a, b and c". Not `Intl.ListFormat`: with it the agent holds 4 MB of ICU's data from its start. */
function conjunction(items: readonly string[]): string {
  const rest = items.slice(0, -1);
  return [...(rest.length > 0 ? [rest.join(', ')] : []), ...items.slice(-1)].join(' and ');
}

/** The keys of a listener's `limits`. */
export const listenerLimitRows: { readonly [P in keyof OwnLimits]: LimitRow } = {
  connections: {
    key: limitSettings.connections.key,
    type: limitSettings.connections.type,
    default: limitSettings.connections.default,
    shared: 'connections',
  },
  handshakes: {
    key: 'handshakes',
    type: integer({ min: 1, max: 1024, what: 'a number of handshakes' }),
    default: 8,
    at: ['tls', 'operator-tls'],
  },
  handshakesPerSecond: {
    key: 'handshakes_per_second',
    type: integer({ min: 1, max: 10_000, what: 'a number of handshakes' }),
    default: 20,
    at: ['tls', 'operator-tls'],
  },
  handshakeTimeoutMs: {
    key: 'handshake_timeout',
    type: duration({ minMs: 100, maxMs: 600_000 }),
    default: 30_000,
    at: ['tls', 'operator-tls', 'trusted'],
  },
};

/** The limits of a listener, a table: those that are absent are as in `[limits]`, or have their own default. */
export const listenerLimits: ValueType<Partial<OwnLimits>> = tableOf<OwnLimits>(
  listenerLimitRows,
  'limits = { connections = 16 }',
);

/** The properties that are PEM, and their keys. */
export const tlsPemKeys = {
  clientCa: 'client_ca',
  clientCrl: 'client_crl',
  certificate: 'certificate',
  key: 'key',
  serverCa: 'server_ca',
} as const;

/**
 * How callers of a `tls://` listener authenticate, and how the agent does; or how the server of an `https://` address does, and
 * its operators. Which keys have an effect also depends on the address and the relay.
 */
const tlsKeys: ValueType<Partial<TlsKeys>> = tableOf<TlsKeys>(
  {
    clientCa: { key: tlsPemKeys.clientCa, type: pemSource },
    clientCrl: { key: tlsPemKeys.clientCrl, type: pemSource },
    certificate: { key: tlsPemKeys.certificate, type: pemSource },
    key: { key: tlsPemKeys.key, type: pemSource },
    insecureStaticKey: { key: 'insecure_static_key', type: boolean },
    serverCa: { key: tlsPemKeys.serverCa, type: pemSource },
    pins: { key: 'pins', type: pins },
  },
  'tls = { client_ca = "/etc/kata-agent/tenant-ca.pem" }',
  // What must not be missing depends on the address, and on what a delivered document sets: check-transport.ts.
  ({ serverCa, pins, certificate, key, insecureStaticKey }) => {
    const hasStaticKey = [certificate, key, insecureStaticKey].some((value) => value !== undefined);
    if ((serverCa ?? pins) !== undefined && hasStaticKey)
      return 'with server_ca or pins, which are for https://, and a static key, which is for tls://';
    if ((certificate === undefined) !== (key === undefined)) return 'with only one of certificate and key';
    // A key in a measured image is not a secret (S26).
    if (key !== undefined && insecureStaticKey !== true)
      return 'with a key that the host can read: by default a key is made at boot; to insist, set insecure_static_key = true';
    return key === undefined && insecureStaticKey === true
      ? 'with insecure_static_key, and without a key'
      : undefined;
  },
);

/** The keys of `[[listener]]` as written. */
export interface ListenerKeys {
  readonly name: string;
  readonly address: string;
  readonly peers: readonly string[];
  readonly allowedEndpoints: readonly string[] | undefined;
  readonly blockedEndpoints: readonly string[] | undefined;
  readonly onDeniedRead: 'error' | 'eof';
  readonly limits: Partial<OwnLimits>;
  readonly tls: Partial<TlsKeys>;
  readonly management: readonly ManagementMethod[];
  readonly operators: readonly OperatorGrant[];
  readonly relay: Relay;
  readonly proxy: string;
}

const common = { table: 'listener', required: false, built: 'yes' } as const;

/** The rows of `[[listener]]`. */
export const listenerKeys: { readonly [P in keyof ListenerKeys]: EntryKey<ListenerKeys[P]> } = {
  name: {
    ...common,
    key: 'name',
    type: entryName,
    required: true,
    purpose: 'Its name in decisions, audit records and further documents.',
    example: '"host"',
    otherwise: 'it is required',
    later: true,
  },
  address: {
    ...common,
    key: 'address',
    type: listenerAddress,
    required: true,
    purpose: 'Where it listens, or the https:// server that it dials.',
    example: '"vsock://-1:1024"',
    otherwise: 'it is required',
    later: false,
  },
  peers: {
    ...common,
    key: 'peers',
    type: peers,
    purpose:
      'The accepted peers: the host, a CID on vsock, a user on a unix socket, a certificate over TLS, or any peer. A peer must match in each document that lists peers.',
    example: '["host"]',
    otherwise:
      '["host"]: CID 2 on vsock, root on a unix socket; required at tls://, and at https:// with relay = "operator-tls"',
    later: true,
  },
  allowedEndpoints: {
    ...common,
    key: 'allowed_endpoints',
    type: endpointList,
    purpose: 'The methods that it serves; the list of [api] must allow them too.',
    example: '["@pod"]',
    otherwise: 'as in [api]',
    later: true,
  },
  blockedEndpoints: {
    ...common,
    key: 'blocked_endpoints',
    type: endpointList,
    purpose: 'Methods that it does not serve.',
    example: '["ExecProcess"]',
    otherwise: 'as in [api]',
    later: true,
  },
  onDeniedRead: {
    ...common,
    key: 'on_denied_read',
    type: oneOf(['error', 'eof']),
    purpose: 'The answer to a denied read of output on this listener: an error, or end of file.',
    example: '"eof"',
    otherwise: 'as in [api]',
    later: false,
  },
  limits: {
    ...common,
    key: 'limits',
    type: listenerLimits,
    purpose: 'Limits of this listener alone. A further document can only lower them.',
    example: '{ connections = 16 }',
    otherwise: 'as in [limits]',
    later: true,
  },
  tls: {
    ...common,
    key: 'tls',
    type: tlsKeys,
    purpose:
      'How callers of a tls:// address are verified: by certificates of client_ca. At https://, how the server is: by server_ca, its name, and pins if there are any; and with relay = "operator-tls" also how operators are, by client_ca. The agent makes its own key at boot.',
    example: '{ client_ca = "/etc/kata-agent/tenant-ca.pem" }',
    otherwise: 'required at tls:// and https://',
    later: false,
  },
  management: {
    ...common,
    key: 'management',
    type: managementList,
    purpose:
      'The methods of the management service that it serves; the lists of endpoints, groups and "*" do not concern them. At https:// with relay = "operator-tls" it serves them to the server alone: operators has the rights of operators.',
    example: '["Describe", "WatchAudit"]',
    otherwise: 'none',
    later: false,
  },
  operators: {
    ...common,
    key: 'operators',
    type: operatorGrants,
    purpose: `What operators may do at https:// with relay = "operator-tls", by the names of their certificates: ${verbsText}. An operator must match peers too, and has the verbs of all tables that name it; the server cannot add to them.`,
    example: '[{ peers = ["uri:spiffe://example/auditors/*"], verbs = ["connect", "audit"] }]',
    otherwise: 'operators of peers call what lists and rules allow, and no method of the management service',
    later: false,
  },
  relay: {
    ...common,
    key: 'relay',
    type: oneOf(['operator-tls', 'trusted']),
    purpose:
      'How operators call through the server of an https:// address. With operator-tls each has TLS to the agent inside a connection of its own, and the server forwards bytes. With trusted the server makes their calls, and is believed with each of them.',
    example: '"trusted"',
    otherwise: `"${defaultRelay}"`,
    later: false,
  },
  proxy: {
    ...common,
    key: 'proxy',
    type: proxy,
    purpose:
      'The HTTP proxy through which an https:// address is dialled. It looks up the name of the server, and sees when and how much is sent, but not what. It gets no credentials.',
    example: '"http://proxy.example:3128"',
    otherwise: 'dialled directly; no proxy of the environment is used',
    later: false,
  },
};

/** The keys of `tls` as written: each PEM is a path or a text. */
export interface TlsKeys {
  readonly clientCa?: string;
  readonly clientCrl?: string;
  readonly certificate?: string;
  readonly key?: string;
  readonly insecureStaticKey?: boolean;
  readonly serverCa?: string;
  readonly pins?: readonly string[];
}

/** The limits that a listener can have of its own. */
export type OwnLimits = ListenerLimits & HandshakeLimits;

/** A limit that a listener can have of its own. */
interface LimitRow {
  readonly key: string;
  readonly type: ValueType<number>;
  readonly default: number;
  /** The key of `[limits]` that applies without it. */
  readonly shared?: keyof LimitSettings;
  /** Where it applies. Absent: wherever callers connect. */
  readonly at?: readonly ListenerPlace[];
}

/** Returns the keys of limits that have no effect at a place. A listener with a trusted relay has one connection. */
export function limitsWithoutEffect(place: ListenerPlace, limits: Partial<OwnLimits>): readonly string[] {
  return Object.entries<LimitRow>(listenerLimitRows).flatMap(([property, { key, at }]) => {
    const applies = at === undefined ? place !== 'trusted' : at.includes(place);
    return !applies && limits[property as keyof OwnLimits] !== undefined ? [key] : [];
  });
}
