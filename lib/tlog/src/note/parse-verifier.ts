import { decodeBase64 } from '../encoding/base64.js';
import { quote } from '../encoding/quote.js';
import { TextFormError } from '../encoding/text-form-error.js';
import { signatureTypes } from './signature-type.js';
import { LogVerifier, WitnessVerifier } from './verifiers.js';

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
