import { createHash } from 'node:crypto';
import { EvidenceFormError } from '../evidence-error.js';
import { canonicalJson, type CanonicalValue, parseCanonicalJson } from './canonical-json.js';

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
