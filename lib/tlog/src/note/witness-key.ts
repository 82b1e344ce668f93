import { createPrivateKey, type KeyObject } from 'node:crypto';
import { decodeBase64, encodeBase64 } from '../encoding/base64.js';
import { TextFormError } from '../encoding/text-form-error.js';
import { signatureTypes } from './signature-type.js';
import { WitnessSigner } from './signers.js';

const prefix = 'PRIVATE+KEY+';
const type = signatureTypes['cosignature/v1'];
/** PKCS #8 of an Ed25519 private key, without its 32 bytes (RFC 8410, Section 7). */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex');

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
