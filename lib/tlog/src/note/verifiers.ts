import { type KeyObject, verify } from 'node:crypto';
import { encodeBase64 } from '../encoding/base64.js';
import { cosignedMessage, decodeTimestamped } from './cosigned-message.js';
import { publicKeyOf } from './ed25519.js';
import { keyId } from './key-id.js';
import { requireKeyName } from './key-name.js';
import { type SignatureType, signatureTypes } from './signature-type.js';

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
