import { createHash, X509Certificate } from 'node:crypto';
import { FormError, JsonFields } from '@kata-agent/base';
import type { ImageReference } from '@kata-agent/registry';
import { type SignedObject, statementFault } from '../bundle.js';
import { payloadFault } from '../simple-signing.js';
import type { KeylessAnnotations, SignatureCandidate, SignerName } from '../signature-candidate.js';
import type { KeylessVerifier } from './keyless-verifier.js';

/** Checks a signature without a key. Returns its signer, or why it does not count. */
export function checkKeyless(
  candidate: SignatureCandidate,
  object: SignedObject,
  reference: ImageReference,
  verifier: KeylessVerifier,
): SignerName | string {
  return candidate.format === 'bundle'
    ? checkBundle(candidate.bundle, object, verifier)
    : checkAttachment(candidate, reference, verifier);
}

function checkBundle(
  bundle: Uint8Array,
  { digest, bytes }: SignedObject,
  verifier: KeylessVerifier,
): SignerName | string {
  const signed = verifier.verify(bundle, bytes);
  if (typeof signed === 'string') return signed;
  const fault =
    signed.envelope && statementFault(signed.envelope.payloadType, signed.envelope.payload, digest);
  return fault ?? nameOf(signed.identity);
}

function checkAttachment(
  { payload, signature, digest, keyless }: Extract<SignatureCandidate, { format: 'simple-signing' }>,
  reference: ImageReference,
  verifier: KeylessVerifier,
): SignerName | string {
  if (keyless === undefined) return 'without a certificate and an entry of a transparency log';
  const bundle = bundleOfAttachment(payload, signature, keyless);
  if (bundle === undefined) return 'malformed';
  const signed = verifier.verify(Buffer.from(bundle), payload);
  if (typeof signed === 'string') return signed;
  return payloadFault(payload, digest, reference) ?? nameOf(signed.identity);
}

/** Texts of the configuration, with which the verified certificate agrees. */
function nameOf({ issuer, subject }: { readonly issuer: string; readonly subject: string }): SignerName {
  return { id: `${subject} by ${issuer}` };
}

/**
 * Returns a signature of cosign's attachments as the JSON text of a bundle (v0.1, which has the log's promise and no proof); undefined:
 * its annotations are malformed. The chain that cosign writes beside them is not read: the trusted root has the CAs.
 */
function bundleOfAttachment(
  payload: Uint8Array,
  signature: Uint8Array,
  { certificate, bundle }: KeylessAnnotations,
): string | undefined {
  try {
    const fields = JsonFields.parse(Buffer.from(bundle), 'the answer');
    const entry = fields.object('Payload');
    const keyId = entry.string('logID');
    if (!/^[0-9a-f]{64}$/.test(keyId)) return undefined;
    return JSON.stringify({
      mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1',
      verificationMaterial: {
        x509CertificateChain: { certificates: [{ rawBytes: derOf(certificate).toString('base64') }] },
        tlogEntries: [
          {
            logIndex: String(entry.size('logIndex')),
            logId: { keyId: Buffer.from(keyId, 'hex').toString('base64') },
            kindVersion: { kind: 'hashedrekord', version: '0.0.1' },
            integratedTime: String(entry.size('integratedTime')),
            inclusionPromise: {
              signedEntryTimestamp: Buffer.from(fields.base64('SignedEntryTimestamp')).toString('base64'),
            },
            canonicalizedBody: Buffer.from(entry.base64('body')).toString('base64'),
          },
        ],
      },
      messageSignature: {
        messageDigest: {
          algorithm: 'SHA2_256',
          digest: createHash('sha256').update(payload).digest('base64'),
        },
        signature: Buffer.from(signature).toString('base64'),
      },
    });
  } catch (error) {
    if (error instanceof FormError) return undefined;
    throw error;
  }
}

function derOf(pem: string): Buffer {
  if (!/^\s*-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\s*$/.test(pem))
    throw new FormError('not one certificate');
  try {
    return new X509Certificate(pem).raw;
  } catch {
    throw new FormError('not a certificate');
  }
}
