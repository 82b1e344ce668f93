import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { decodeBase64, encodeBase64, quote, TextFormError } from '../text-form.js';

/**
 * The signature types that are used here, by their identifier bytes (C2SP signed-note v1.0.0, "Signature types"). Logs
 * sign with the first, witnesses with the second (C2SP tlog-cosignature v1.0.1, "Format").
 */
export const signatureTypes = { ed25519: 0x01, 'cosignature/v1': 0x04 } as const;

/** A public key with its name, in the form of C2SP signed-note v1.0.0, "Verifier keys". */
abstract class NamedKey<Type extends SignatureType> {
  readonly type: Type;
  readonly name: string;
  /** 8 hex digits. */
  readonly id: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly #key: KeyObject;

  /** Takes the 32 bytes of an Ed25519 public key. Throws a TextFormError. */
  constructor(type: Type, name: string, publicKey: Uint8Array) {
    requireKeyName(name);
    this.type = type;
    this.name = name;
    this.publicKey = Uint8Array.from(publicKey);
    this.#key = publicKeyOf(this.publicKey);
    this.id = keyId(name, type, this.publicKey);
  }

  /** Returns NAME+ID+BASE64: what `parseVerifier` parses, and Go's note.NewVerifier for the keys of logs. */
  toString(): string {
    const key = encodeBase64(Uint8Array.of(signatureTypes[this.type], ...this.publicKey));
    return `${this.name}+${this.id}+${key}`;
  }

  protected isSigned(message: Uint8Array, signature: Uint8Array): boolean {
    return verify(null, message, this.#key, signature);
  }
}

/** Verifies signatures of a log: Ed25519 over the text (type 0x01). */
export class LogVerifier extends NamedKey<'ed25519'> {
  constructor(name: string, publicKey: Uint8Array) {
    super('ed25519', name, publicKey);
  }

  /** Reports whether the log has signed this text of a note. */
  verify(text: string, signature: Uint8Array): boolean {
    return this.isSigned(Buffer.from(text), signature);
  }
}

/** Verifies cosignatures of a witness: a time, and Ed25519 over the time and the text (type 0x04). */
export class WitnessVerifier extends NamedKey<'cosignature/v1'> {
  constructor(name: string, publicKey: Uint8Array) {
    super('cosignature/v1', name, publicKey);
  }

  /** Returns when the witness has signed this text of a note, in seconds since 1970. Undefined if it has not. */
  verify(text: string, cosignature: Uint8Array): number | undefined {
    const decoded = decodeTimestamped(cosignature);
    if (decoded === undefined) return undefined;
    const { time, signature } = decoded;
    return this.isSigned(cosignedMessage(text, time), signature) ? time : undefined;
  }
}

type SignatureType = keyof typeof signatureTypes;

/**
 * Returns the id of a key as 8 hex digits: the first 4 bytes of SHA-256(name || 0x0A || signature type || public key)
 * (C2SP signed-note v1.0.0, "Signatures"). It tells keys apart and protects nothing: anybody can make a key with an id.
 */
function keyId(name: string, type: SignatureType, publicKey: Uint8Array): string {
  const sum = createHash('sha256').update(`${name}\n`).update(Uint8Array.of(signatureTypes[type]));
  return sum.update(publicKey).digest('hex').slice(0, 8);
}

/**
 * Reports whether a text can be the name of a key: not empty, without Unicode spaces and `+` (C2SP signed-note v1.0.0,
 * "Format"), and with characters only that a note can have.
 */
export function isKeyName(name: string): boolean {
  return name !== '' && !/[\p{White_Space}\p{Surrogate}\u0000-\u001f+]/u.test(name);
}

/** Throws a TextFormError if a text cannot be the name of a key. */
function requireKeyName(name: string): void {
  if (!isKeyName(name))
    throw new TextFormError(`${quote(name)} is not the name of a key: it is empty, or has a space or +`);
}

/** Of a SubjectPublicKeyInfo of Ed25519: the key is all that follows (RFC 8410, section 4). */
const spkiPrefixLength = 12;

/** Returns the 32 bytes of an Ed25519 public key (RFC 8032), of this key or of this private key. */
export function rawPublicKey(key: KeyObject): Uint8Array {
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('the key is not an Ed25519 key');
  // Not as JWK: for that Node.js 20 holds the key's lock while it makes JavaScript objects, and a garbage collection that ends the
  // generation of the same key waits for that lock for ever.
  const spki = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'der', type: 'spki' });
  return spki.subarray(spkiPrefixLength);
}

/** Returns the key that 32 bytes encode. Throws a TextFormError. */
function publicKeyOf(raw: Uint8Array): KeyObject {
  if (raw.byteLength !== 32)
    throw new TextFormError(`an Ed25519 public key has 32 bytes, this one ${raw.byteLength}`);
  const x = Buffer.from(raw).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

/**
 * Parses NAME+ID+BASE64 (C2SP signed-note v1.0.0, "Verifier keys"): the key of a log (type 0x01) or of a witness (type
 * 0x04). The id must be the one that the document recommends. Throws a TextFormError.
 */
export function parseVerifier(text: string): LogVerifier | WitnessVerifier {
  const fault = (what: string): TextFormError =>
    new TextFormError(`${quote(text)} is not a verifier key NAME+ID+BASE64: ${what}`);
  const [, name = '', id, base64 = ''] = /^([^+]*)\+([0-9a-f]{8})\+(.*)$/s.exec(text) ?? [];
  if (id === undefined) throw fault('it does not have three parts');
  const bytes = decodeBase64(base64);
  if (bytes === undefined) throw fault('the last part is not base64');
  const [type] = bytes;
  const verifier = verifierOf(type, name, bytes.subarray(1));
  if (verifier === undefined) throw fault(`signature type ${type ?? 'of no byte'} is not supported`);
  if (verifier.id !== id) throw fault(`the id of this name and key is ${verifier.id}`);
  return verifier;
}

function verifierOf(
  type: number | undefined,
  name: string,
  publicKey: Uint8Array,
): LogVerifier | WitnessVerifier | undefined {
  if (type === signatureTypes.ed25519) return new LogVerifier(name, publicKey);
  if (type === signatureTypes['cosignature/v1']) return new WitnessVerifier(name, publicKey);
  return undefined;
}

/**
 * Returns what a witness signs: two lines, and the text of the checkpoint (C2SP tlog-cosignature v1.0.1, "Signed
 * message"). `time` is in seconds since 1970.
 */
export function cosignedMessage(text: string, time: number): Buffer {
  return Buffer.from(`cosignature/v1\ntime ${time}\n${text}`);
}

/** A cosignature: when it was made, and the Ed25519 signature of the cosigned message. */
interface TimestampedSignature {
  readonly time: number;
  readonly signature: Uint8Array;
}

/**
 * Reports whether a time can be in a cosignature: seconds since 1970, and not 0, which stands for no time (C2SP
 * tlog-witness, "add-checkpoint"). Beyond 2^53 - 1 it is refused here, although the document allows it.
 */
export function isCosignatureTime(time: number): boolean {
  return Number.isSafeInteger(time) && time > 0;
}

/** Encodes a `timestamped_signature`: the time as 8 bytes, big-endian, and the signature. */
export function encodeTimestamped({ time, signature }: TimestampedSignature): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(time));
  return Buffer.concat([bytes, signature]);
}

/** Decodes a `timestamped_signature`. Undefined if it is not one. */
function decodeTimestamped(bytes: Uint8Array): TimestampedSignature | undefined {
  if (bytes.byteLength !== 8 + 64) return undefined;
  const time = Number(Buffer.from(bytes.subarray(0, 8)).readBigUInt64BE());
  return isCosignatureTime(time) ? { time, signature: bytes.subarray(8) } : undefined;
}
