import type { ManagementMethod } from '@kata-agent/catalogue';
import type { OperatorGrant } from '../listener.js';
import type { EntryKey } from '../document/entry-key.js';
import { managementList } from '../value-types/management-list.js';
import { entryName } from '../value-types/name.js';
import { oneOf } from '../value-types/one-of.js';
import { operatorGrants } from '../value-types/operator-grants.js';
import { proxy } from '../value-types/proxy-address.js';
import { peers } from '../value-types/peers.js';
import { listenerAddress } from '../value-types/listener-address.js';
import { endpointList } from '../value-types/text.js';
import { listenerLimits, type OwnLimits } from './listener-limits.js';
import { defaultRelay, type Relay } from './relay.js';
import { type TlsKeys, tlsKeys } from './tls-keys.js';

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
    purpose:
      'What operators may do at https:// with relay = "operator-tls", by the names of their certificates: connect opens the methods that the lists and rules of the listener allow, Describe and Attest; audit opens WatchAudit, GetCheckpoint and Attest; revoke opens RevokePeer and Attest. An operator must match peers too, and has the verbs of all tables that name it; the server cannot add to them.',
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
