import type { IncomingMessage } from 'node:http';
import { isRecord, type JsonRecord } from '@kata-agent/base';
import { canonicalName, NameSyntaxError, parsePeerEntry, PeerEntryError } from '@kata-agent/x509';
import type { RevokedPeer } from '../store/revocations.js';
import { badRequest, HttpError } from './http-answers.js';

/** What RevokePeer revokes: each certificate with a name, or one certificate. */
export type Revocation =
  | { readonly peer: string }
  | {
      /** In hex. */
      readonly serial: string;
      /** RFC 4514. */
      readonly issuer: string;
    };

/** Returns a revocation as RevokePeer takes it. */
export function revokedPeer(revocation: Revocation): RevokedPeer {
  return { peer: '', serial: '', issuer: '', ...revocation };
}

/** Characters of a name, as in the agent. */
const longestName = 4096;

/** Reads the body of a request, which must be JSON. Rejects with an HttpError. */
export async function readRevocation(request: IncomingMessage, maxBytes: number): Promise<Revocation> {
  const type = request.headers['content-type'] ?? '';
  if (!/^application\/json(?:; ?charset=utf-8)?$/i.test(type))
    throw new HttpError(415, 'unsupported_media_type', 'the body must be application/json');
  const parts: Buffer[] = [];
  let length = 0;
  // Left open, so that there can be an answer.
  for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > maxBytes) throw new HttpError(413, 'too_large', `the body has more than ${maxBytes} bytes`);
    parts.push(part);
  }
  return parseRevocation(Buffer.concat(parts));
}

/** Parses a body. Throws an HttpError. */
function parseRevocation(body: Buffer): Revocation {
  const fields = fieldsOf(body);
  const { peer, serial, issuer } = fields;
  const names = Object.keys(fields).sort().join(' ');
  if (names === 'peer' && typeof peer === 'string') {
    checkPeer(peer);
    return { peer };
  }
  if (names === 'issuer serial' && typeof serial === 'string' && typeof issuer === 'string') {
    checkSerial(serial, issuer);
    return { serial, issuer };
  }
  throw badRequest('the body must be {"peer": "…"} or {"serial": "…", "issuer": "…"}');
}

/** Reports whether guests accept a revocation: either of a peer, or of a serial number and its issuer. */
export function isRevocable({ peer, serial, issuer }: RevokedPeer): boolean {
  try {
    if (peer === '') checkSerial(serial, issuer);
    else checkPeer(peer);
    return peer === '' || (serial === '' && issuer === '');
  } catch (error) {
    if (error instanceof HttpError) return false;
    throw error;
  }
}

function checkSerial(serial: string, issuer: string): void {
  if (!/^[0-9a-fA-F]{1,64}$/.test(serial)) throw badRequest('serial must be up to 64 hex digits');
  if (issuer.length > longestName) throw badRequest(`issuer has more than ${longestName} characters`);
  checkIssuer(issuer);
}

function fieldsOf(body: Buffer): JsonRecord {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    if (isRecord(value)) return value;
  } catch {
    throw badRequest('the body is not JSON in UTF-8');
  }
  throw badRequest('the body is not a JSON object');
}

/** Checked here too: what a guest does not accept must not be stored for guests to come. */
function checkPeer(peer: string): void {
  if (peer.length > longestName) throw badRequest(`peer has more than ${longestName} characters`);
  try {
    if (parsePeerEntry(peer).kind !== 'any') return;
  } catch (error) {
    if (!(error instanceof PeerEntryError)) throw error;
    throw badRequest(`peer: ${error.message}`);
  }
  throw badRequest("peer: '*' would revoke everybody");
}

function checkIssuer(issuer: string): void {
  try {
    if (canonicalName(issuer) !== '') return;
  } catch (error) {
    if (!(error instanceof NameSyntaxError)) throw error;
    throw badRequest(`issuer: ${error.message}`);
  }
  throw badRequest('issuer is empty');
}
