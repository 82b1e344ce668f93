import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { decodeBase64, encodeBase64, TextFormError } from '../text-form.js';
import {
  cosignedMessage,
  encodeTimestamped,
  isCosignatureTime,
  LogVerifier,
  rawPublicKey,
  signatureTypes,
  WitnessVerifier,
} from './verifiers.js';
import { formatSignatureLine } from './note.js';

const prefix = 'PRIVATE+KEY+';

const type = signatureTypes['cosignature/v1'];

/** PKCS #8 of an Ed25519 private key, without its 32 bytes (RFC 8410, Section 7). */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The private key of a log. */
export class LogSigner {
  readonly verifier: LogVerifier;
  readonly #key: KeyObject;

  /** Takes an Ed25519 private key. Throws a TextFormError for a bad name. */
  constructor(name: string, key: KeyObject) {
    if (key.type !== 'private') throw new TypeError('the key is not a private key');
    this.verifier = new LogVerifier(name, rawPublicKey(key));
    this.#key = key;
  }

  /** Returns the signature line of a note's text, with its newline. */
  sign(text: string): string {
    const { name, id } = this.verifier;
    return formatSignatureLine({ name, id, signature: sign(null, Buffer.from(text), this.#key) });
  }
}

/** The private key of a witness. It must be used for nothing else: what it signs does not name the witness. */
export class WitnessSigner {
  readonly verifier: WitnessVerifier;
  readonly #key: KeyObject;

  /** Takes an Ed25519 private key. Throws a TextFormError for a bad name. */
  constructor(name: string, key: KeyObject) {
    if (key.type !== 'private') throw new TypeError('the key is not a private key');
    this.verifier = new WitnessVerifier(name, rawPublicKey(key));
    this.#key = key;
  }

  /**
   * Returns the signature line of a checkpoint's text, with its newline. `time` is in whole seconds since 1970. Throws a
   * RangeError for a time that a cosignature cannot have.
   */
  cosign(text: string, time: number): string {
    if (!isCosignatureTime(time)) throw new RangeError(`${time} is not the time of a cosignature`);
    const { name, id } = this.verifier;
    const signature = encodeTimestamped({
      time,
      signature: sign(null, cosignedMessage(text, time), this.#key),
    });
    return formatSignatureLine({ name, id, signature });
  }
}

/**
 * Returns the private key of a witness as text, in the form of Go's `note.GenerateKey`: PRIVATE+KEY+NAME+ID+BASE64, with the
 * signature type of a witness. Throws a TextFormError for a bad name.
 */
export function formatWitnessKey(name: string, key: KeyObject): string {
  const { id } = new WitnessSigner(name, key).verifier;
  const seed = key.export({ format: 'der', type: 'pkcs8' }).subarray(-32);
  return `${prefix}${name}+${id}+${encodeBase64(Uint8Array.of(type, ...seed))}`;
}

/** Parses what `formatWitnessKey` returns. Throws a TextFormError, which has no part of the key. */
export function parseWitnessKey(text: string): WitnessSigner {
  const fault = (what: string): TextFormError =>
    new TextFormError(`it is not the private key of a witness, PRIVATE+KEY+NAME+ID+BASE64: ${what}`);
  const [, name = '', id, base64 = ''] = /^PRIVATE\+KEY\+([^+]*)\+([0-9a-f]{8})\+(.*)$/s.exec(text) ?? [];
  if (id === undefined) throw fault('it does not have these parts');
  const bytes = decodeBase64(base64);
  if (bytes?.length !== 33) throw fault('the last part is not the base64 of 33 bytes');
  if (bytes[0] !== type) throw fault(`its signature type is not that of a witness, ${type}`);
  const der = Buffer.concat([pkcs8, bytes.subarray(1)]);
  const signer = new WitnessSigner(name, createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  if (signer.verifier.id !== id) throw fault(`the id of this name and key is ${signer.verifier.id}`);
  return signer;
}
