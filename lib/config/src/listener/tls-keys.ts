import { boolean } from '../value-types/boolean.js';
import { pemSource } from '../value-types/pem-source.js';
import { pins } from '../value-types/pins.js';
import { tableOf } from '../value-types/table-of.js';
import type { ValueType } from '../value-types/value-type.js';

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
export const tlsKeys: ValueType<Partial<TlsKeys>> = tableOf<TlsKeys>(
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
