import { createHash } from 'node:crypto';
import { EvidenceFormError } from './evidence-error.js';

/** What a guest says of itself; evidence binds the bytes (docs/evidence.md, "Claims"). All hex is lower case. */
export interface Claims {
  /** What the caller chose: 32 to 64 bytes, in hex. */
  readonly nonce: string;
  /**
   * The connection that the evidence was asked for in: `tls-exporter:HEX`, 32 bytes by RFC 9266, or `none:KIND` with the kind of
   * the listener.
   */
  readonly channel: string;
  /** SHA-256 of the public key of the agent's TLS certificate, in hex; empty without a `tls://` or `https://` listener. */
  readonly tlsSpki: string;
  /** The key of the audit log, as a verifier key of C2SP signed-note. */
  readonly logKey: string;
  /** Records of the audit log in the tree of `rootHash`. */
  readonly treeSize: number;
  /** 32 bytes, in hex. */
  readonly rootHash: string;
  /** Hex SHA-256 of `documents`, each followed by a line feed: as `config digest` prints it. */
  readonly configDigest: string;
  /** The SHA-256 of each document in order, in hex, then `KEY=SHA256` of each file that they name. */
  readonly documents: readonly string[];
  readonly bootId: string;
  /** The agent's. */
  readonly version: string;
  /** The name of the attestation key of the TPM that quotes are asked of, in hex. Absent: the agent has no such source. */
  readonly tpmAk?: string;
}

/** The version of the form. */
const formVersion = 1;

const keys = {
  bootId: 'boot_id',
  channel: 'channel',
  configDigest: 'config_digest',
  documents: 'documents',
  logKey: 'log_key',
  nonce: 'nonce',
  rootHash: 'root_hash',
  tlsSpki: 'tls_spki',
  treeSize: 'tree_size',
  version: 'version',
  tpmAk: 'tpm_ak',
} as const satisfies Readonly<Record<keyof Claims, string>>;

const hash = /^[0-9a-f]{64}$/;

/** Encodes claims as canonical JSON. */
export function encodeClaims(claims: Claims): Uint8Array {
  const entries = Object.entries(keys).flatMap(
    ([name, key]): readonly (readonly [string, CanonicalValue])[] => {
      const value = claims[name as keyof Claims];
      return value === undefined ? [] : [[key, value]];
    },
  );
  return canonicalJson({ v: formVersion, ...Object.fromEntries(entries) });
}

/** Parses claims: canonical bytes with exactly the known keys. Throws an EvidenceFormError. */
export function parseClaims(bytes: Uint8Array): Claims {
  const value = parseCanonicalJson(bytes, 'claims');
  if (typeof value !== 'object' || !isObject(value)) throw wrong('', 'an object');
  const known = new Set<string>(['v', ...Object.values(keys)]);
  const unknown = Object.keys(value).find((key) => !known.has(key));
  if (unknown !== undefined) throw new EvidenceFormError(`claims: unknown key ${JSON.stringify(unknown)}`);
  if (value['v'] !== formVersion) throw wrong('v', `${formVersion}`);
  const text = (key: string, form: RegExp, what: string): string => {
    const found = value[key];
    if (typeof found !== 'string' || !form.test(found)) throw wrong(key, what);
    return found;
  };
  const { documents, tree_size: treeSize } = value;
  if (typeof treeSize !== 'number' || treeSize < 0) throw wrong('tree_size', 'a number of records');
  if (!Array.isArray(documents) || !documents.every(isDocument))
    throw wrong('documents', 'a list of SHA-256 in hex, and of KEY=SHA256');
  return {
    nonce: text(keys.nonce, /^(?:[0-9a-f]{2}){32,64}$/, '32 to 64 bytes in hex'),
    channel: text(
      keys.channel,
      /^(?:tls-exporter:[0-9a-f]{64}|none:[a-z]{1,16})$/,
      'tls-exporter:HEX or none:KIND',
    ),
    tlsSpki: text(keys.tlsSpki, /^(?:[0-9a-f]{64})?$/, '32 bytes in hex, or empty'),
    logKey: text(keys.logKey, /^[\x21-\x7e]{1,256}$/, 'a verifier key'),
    treeSize,
    rootHash: text(keys.rootHash, hash, '32 bytes in hex'),
    configDigest: text(keys.configDigest, hash, '32 bytes in hex'),
    documents,
    bootId: text(keys.bootId, /^[0-9a-f-]{1,64}$/, 'a boot id'),
    version: text(keys.version, /^[\x20-\x7e]{1,128}$/, 'a version'),
    ...(value[keys.tpmAk] === undefined
      ? {}
      : { tpmAk: text(keys.tpmAk, /^000b[0-9a-f]{64}$/, 'the name of a key by SHA-256') }),
  };
}

/** Returns what a TPM quote has as its extraData: the 48 bytes of the claims' SHA-384. */
export function claimsDigest(claims: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha384').update(claims).digest());
}

/** Returns the report data of an SNP or TDX report: the SHA-384 of the claims, and 16 zero bytes. */
export function reportDataOf(claims: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([claimsDigest(claims), Buffer.alloc(16)]));
}

function isDocument(value: unknown): value is string {
  return typeof value === 'string' && /^(?:[^=\n]{1,512}=)?[0-9a-f]{64}$/.test(value);
}

function isObject(value: CanonicalValue): value is { readonly [key: string]: CanonicalValue } {
  return typeof value === 'object' && !Array.isArray(value);
}

function wrong(key: string, what: string): EvidenceFormError {
  return new EvidenceFormError(`claims${key === '' ? '' : `, ${key}`}: must be ${what}`);
}

/** A value of canonical JSON as far as evidence needs it: no fractions, no booleans, no null. */
type CanonicalValue =
  | string
  | number
  | readonly CanonicalValue[]
  | { readonly [key: string]: CanonicalValue };

/**
 * Encodes a value as canonical JSON (RFC 8785): no white space, keys sorted by UTF-16 units, text as ECMAScript writes it. Throws a
 * TypeError for a number that is not a safe integer, and for text with half a surrogate pair.
 */
export function canonicalJson(value: CanonicalValue): Uint8Array {
  return new Uint8Array(Buffer.from(textOf(value)));
}

/**
 * Parses canonical JSON, and nothing else: another order of keys, a key twice, white space, or another spelling of a number or a
 * text is refused, so a value has exactly one form. Throws an EvidenceFormError.
 */
export function parseCanonicalJson(bytes: Uint8Array, name: string): CanonicalValue {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    throw new EvidenceFormError(`${name}: not JSON in UTF-8`, { cause: error });
  }
  if (!isCanonicalValue(value))
    throw new EvidenceFormError(`${name}: only text, integers, lists and objects are allowed`);
  if (Buffer.compare(canonicalJson(value), bytes) !== 0)
    throw new EvidenceFormError(`${name}: not in canonical form (RFC 8785)`);
  return value;
}

function textOf(value: CanonicalValue): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || Object.is(value, -0))
      throw new TypeError(`${value} is not an integer of canonical JSON`);
    return String(value);
  }
  if (isList(value)) return `[${value.map(textOf).join(',')}]`;
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${quoted(key)}:${textOf(value[key] ?? '')}`).join(',')}}`;
}

function quoted(text: string): string {
  if (!isWellFormed(text)) throw new TypeError(`${JSON.stringify(text)} has half a surrogate pair`);
  return JSON.stringify(text);
}

function isCanonicalValue(value: unknown): value is CanonicalValue {
  if (typeof value === 'string') return isWellFormed(value);
  if (typeof value === 'number') return Number.isSafeInteger(value) && !Object.is(value, -0);
  if (Array.isArray(value)) return value.every(isCanonicalValue);
  return typeof value === 'object' && value !== null && Object.values(value).every(isCanonicalValue);
}

function isList(value: CanonicalValue): value is readonly CanonicalValue[] {
  return Array.isArray(value);
}

/** Reports whether the text has no half of a surrogate pair: with the flag `u`, whole pairs are not surrogates. */
function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
