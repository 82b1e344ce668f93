import { isJsonObject, type JsonObject, JsonSyntaxError, parseJson } from '@kata-agent/base';

/** What a sealed secret begins with (docs/records/coco-facts.md, "Sealed secrets"). */
export const sealedPrefix = 'sealed.';

/** A sealed secret has at most this many bytes: one of a key broker's resources with a signature. */
export const maxSealedBytes: number = 1024 * 1024;

export function isSealed(text: string): boolean {
  return text.startsWith(sealedPrefix);
}

/** What the payload of a sealed secret says it is. */
export type SealedPayload =
  /** A resource of a key broker. */
  | { readonly type: 'vault'; readonly provider: string; readonly name: string }
  /** Data that the secret has in itself, encrypted with a key of a key manager. */
  | { readonly type: 'envelope' };

/**
 * Parses the payload of `sealed.HEADER.PAYLOAD.SIGNATURE`, a JWS with base64url without padding and JSON in it. Only what each
 * reader understands alike: four parts, canonical base64url, and no name of JSON twice. The signature is the data hub's to verify.
 *
 * @returns a sentence about what is wrong, for another text.
 */
export function parseSealed(text: string): SealedPayload | string {
  const parts = text.split('.');
  const [, , payload = ''] = parts;
  if (parts.length !== 4 || !isSealed(text)) return 'it does not have the four parts of a sealed secret';
  const bytes = Buffer.from(payload, 'base64url');
  if (bytes.toString('base64url') !== payload) return 'its payload is not base64url without padding';
  const json = readJson(bytes);
  if (json === undefined) return 'its payload is not JSON whose names occur once';
  const [type, provider, name] = ['type', 'provider', 'name'].map((each) => json.get(each));
  if (type === 'envelope') return { type };
  if (type !== 'vault') return 'its type is neither "vault" nor "envelope"';
  if (typeof provider !== 'string' || typeof name !== 'string') return 'it names no provider and resource';
  return { type, provider, name };
}

/** Undefined: no object, or a text in which a name occurs twice, so that readers differ in the value that they take. */
function readJson(bytes: Buffer): JsonObject | undefined {
  try {
    const value = parseJson(bytes);
    return isJsonObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof JsonSyntaxError) return undefined;
    throw error;
  }
}
