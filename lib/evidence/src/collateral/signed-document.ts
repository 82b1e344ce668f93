import { EvidenceFormError } from '../evidence-error.js';

/** A JSON document that Intel signed. The signature is not verified yet. */
export interface SignedDocument<Value> {
  /** The bytes that the signature covers. */
  readonly body: Uint8Array;
  /** r and s, big-endian, 32 bytes each. */
  readonly signature: Uint8Array;
  readonly value: Value;
}

/**
 * Reads an answer of Intel's provisioning service, `{"<name>":{…},"signature":"…"}`: the signature covers the bytes of the
 * first member as they stand. Throws an EvidenceFormError.
 */
export function parseSignedDocument<Value>(
  text: string,
  name: string,
  parse: (json: unknown) => Value,
): SignedDocument<Value> {
  const start = `{"${name}":`;
  const match = /^(\{.*\}),"signature":"([0-9a-fA-F]{128})"\}\s*$/s.exec(text.slice(start.length));
  const [, body, signature] = match ?? [];
  if (!text.startsWith(start) || body === undefined || signature === undefined)
    throw new EvidenceFormError(
      `it is not {"${name}":{…},"signature":"…"}; help: keep the answer of Intel's service as it is`,
    );
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch (error) {
    throw new EvidenceFormError(`it is not JSON: ${(error as Error).message}`);
  }
  return { body: Buffer.from(body, 'utf8'), signature: Buffer.from(signature, 'hex'), value: parse(json) };
}
