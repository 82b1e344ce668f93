import { X509Certificate } from 'node:crypto';
import { Fields } from '../../json/fields.js';

class EntryError extends Error {}

/** Where each kind of an entry has the certificate of its signature: PEM in base64, or DER. */
const places: Readonly<Record<string, (spec: Fields) => Uint8Array>> = {
  'hashedrekord 0.0.1': (spec) => pem(spec.object('signature').object('publicKey').base64('content')),
  'dsse 0.0.1': (spec) => pem(only(spec.objects('signatures', 1)).base64('verifier')),
  'intoto 0.0.2': (spec) =>
    pem(only(spec.object('content').object('envelope').objects('signatures', 1)).base64('publicKey')),
  'hashedrekord 0.0.2': (spec) => rawBytes(spec.object('hashedRekordV002').object('signature')),
  'dsse 0.0.2': (spec) => rawBytes(only(spec.object('dsseV002').objects('signatures', 1))),
};

/**
 * Reports whether an entry of a transparency log has a certificate. An entry that has the bare key instead is found by nobody who
 * watches the log for an identity.
 */
export function entryNames(body: Uint8Array, certificate: Uint8Array): boolean {
  try {
    const fields = Fields.parse(body, 'the entry', (text) => new EntryError(text));
    const place = places[`${fields.string('kind')} ${fields.string('apiVersion')}`];
    return place !== undefined && Buffer.from(place(fields.object('spec'))).equals(certificate);
  } catch (error) {
    if (error instanceof EntryError) return false;
    throw error;
  }
}

function only(items: readonly Fields[]): Fields {
  const [first] = items;
  if (first === undefined) throw new EntryError('the entry has no signature');
  return first;
}

function rawBytes(signature: Fields): Uint8Array {
  return signature.object('verifier').object('x509Certificate').base64('rawBytes');
}

function pem(bytes: Uint8Array): Uint8Array {
  try {
    return new X509Certificate(Buffer.from(bytes)).raw;
  } catch {
    throw new EntryError('the entry has no certificate');
  }
}
