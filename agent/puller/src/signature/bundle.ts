import { FormError, JsonFields } from '@kata-agent/base';
import { type Digest, digestAlgorithm, digestHex } from '@kata-agent/registry';
import type { PublicKey } from './public-key.js';

export const bundleType = 'application/vnd.dev.sigstore.bundle.v0.3+json';
/** The type's name in early bundles of 0.3. */
const otherBundleType = 'application/vnd.dev.sigstore.bundle+json;version=0.3';
const statementTypes = ['https://in-toto.io/Statement/v1', 'https://in-toto.io/Statement/v0.1'];
const inTotoType = 'application/vnd.in-toto+json';
/**
 * What `cosign sign` states. Any other statement by the same key is an attestation, which can say the opposite: that the image has a
 * vulnerability, for example.
 */
export const signPredicate = 'https://sigstore.dev/cosign/sign/v1';
const maxSignatures = 16;
const maxSubjects = 256;

/** What a bundle must sign. */
export interface SignedObject {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/**
 * Checks a Sigstore bundle (v0.3) by key: of a statement that `cosign sign` makes, in a DSSE envelope, or of the bytes themselves.
 * Entries of transparency logs and timestamps are not read: the key alone counts. Returns the key that made the signature, or
 * why the bundle does not count.
 */
export function checkBundle(
  bundle: Uint8Array,
  object: SignedObject,
  keys: readonly PublicKey[],
): PublicKey | string {
  try {
    const fields = JsonFields.parse(bundle, 'the bundle');
    const type = fields.string('mediaType');
    if (type !== bundleType && type !== otherBundleType) return 'a bundle of another version than 0.3';
    const material = fields.object('verificationMaterial');
    if (!material.has('publicKey')) return 'keyless, and this scope has keys';
    if (fields.has('dsseEnvelope') === fields.has('messageSignature')) return 'malformed';
    return fields.has('dsseEnvelope')
      ? checkEnvelope(fields.object('dsseEnvelope'), object.digest, keys)
      : checkMessage(fields.object('messageSignature'), object, keys);
  } catch (error) {
    if (error instanceof FormError) return 'malformed';
    throw error;
  }
}

/** The digest in it is a hint, which the bytes replace. */
function checkMessage(
  message: JsonFields,
  { bytes }: SignedObject,
  keys: readonly PublicKey[],
): PublicKey | string {
  const signature = message.base64('signature');
  return keys.find((key) => key.verify(bytes, signature)) ?? 'made by another key, or for other bytes';
}

function checkEnvelope(envelope: JsonFields, digest: Digest, keys: readonly PublicKey[]): PublicKey | string {
  const payloadType = envelope.string('payloadType');
  const payload = envelope.base64('payload');
  const message = preAuthenticationEncoding(payloadType, payload);
  const signatures = envelope.objects('signatures', maxSignatures).map((each) => each.base64('sig'));
  // Nothing of the payload is read before its signature is valid.
  const key = keys.find((each) => signatures.some((signature) => each.verify(message, signature)));
  if (key === undefined) return 'made by another key';
  return statementFault(payloadType, payload, digest) ?? key;
}

/** Returns why the payload of a signed envelope is no signature of a digest as `cosign sign` makes it; undefined: it is one. */
export function statementFault(payloadType: string, payload: Uint8Array, digest: Digest): string | undefined {
  if (payloadType !== inTotoType) return 'of another payload than an in-toto statement';
  try {
    const statement = JsonFields.parse(payload, 'the statement');
    if (!statementTypes.includes(statement.string('_type'))) return 'of another statement than in-toto v1';
    if (statement.string('predicateType') !== signPredicate)
      return 'an attestation, which is not a signature of the image';
    const subjects = statement.objects('subject', maxSubjects);
    const named = subjects.some(
      (subject) => subject.object('digest').get(digestAlgorithm(digest)) === digestHex(digest),
    );
    return named ? undefined : 'for another digest';
  } catch (error) {
    if (error instanceof FormError) return 'malformed';
    throw error;
  }
}

/** What a DSSE signature is over: the type is signed with the bytes, each with its length. */
export function preAuthenticationEncoding(type: string, payload: Uint8Array): Uint8Array {
  const head = `DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `;
  return Buffer.concat([Buffer.from(head), payload]);
}
