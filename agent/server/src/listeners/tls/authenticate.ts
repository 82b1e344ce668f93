import {
  type Certificate,
  grantsPeer,
  Oid,
  type PeerEntry,
  readCertificate,
  svidFault,
} from '@kata-agent/x509';
import { type RefusalCause, refusalCause } from './tls-refusal.js';

/** The ALPN protocol of ttRPC over TLS. Demanded, so that the bytes of another protocol are never taken for ttRPC. */
export const alpnProtocol = 'kata-agent-ttrpc';

/** The result of a handshake that OpenSSL accepted. */
export interface Handshake {
  readonly alpnProtocol: string | false | null;
  readonly resumed: boolean;
  /** The client's certificate in DER. */
  readonly certificate: Uint8Array | undefined;
}

export interface Expected {
  /** The `peers` of each document that has them: a client must match all lists. */
  readonly peers: readonly (readonly PeerEntry[])[];
  readonly isRevoked: (certificate: Certificate) => boolean;
  /** Wall time, in milliseconds of the epoch. */
  readonly now: number;
}

export type Authentication =
  | { readonly certificate: Certificate; readonly refused?: undefined }
  | { readonly certificate?: Certificate; readonly refused: RefusalCause };

/** Decides about a client after OpenSSL has verified the chain of its certificate. */
export function authenticate(handshake: Handshake, expected: Expected): Authentication {
  // Node.js accepts a client that offers no protocol.
  if (handshake.alpnProtocol !== alpnProtocol) return { refused: refusalCause('alpn') };
  // OpenSSL verifies nothing in a resumed session: it would have the identity of an earlier one.
  if (handshake.resumed) return { refused: refusalCause('resumed') };
  if (handshake.certificate === undefined) return { refused: refusalCause('no-certificate') };
  const certificate = readCertificate(handshake.certificate);
  if (typeof certificate === 'string') return { refused: refusalCause('malformed', certificate) };
  const refused = causeOf(certificate, expected);
  return refused === undefined ? { certificate } : { certificate, refused };
}

function causeOf(certificate: Certificate, { peers, isRevoked, now }: Expected): RefusalCause | undefined {
  const { notBefore, notAfter, extendedKeyUsage } = certificate;
  if (now < notBefore) return refusalCause('not-yet-valid');
  if (now >= notAfter) return refusalCause('expired');
  // OpenSSL accepts a certificate without this extension for any usage.
  if (extendedKeyUsage?.includes(Oid.ClientAuth) !== true) return refusalCause('usage');
  const fault = svidFault(certificate);
  if (fault !== undefined) return refusalCause('malformed', fault);
  if (isRevoked(certificate)) return refusalCause('revoked', 'by RevokePeer');
  // Without a list no peer is accepted; every() of no lists would accept each.
  const granted =
    peers.length > 0 && peers.every((list) => list.some((entry) => grantsPeer(entry, certificate)));
  return granted ? undefined : refusalCause('peers');
}
