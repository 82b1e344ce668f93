import { createHash, X509Certificate } from 'node:crypto';
import { Fields } from '../../json/fields.js';

class AttachmentError extends Error {}

/** What cosign's attachments have beside the signature: PEM, and the answer of Rekor. */
export interface KeylessAnnotations {
  readonly certificate: string;
  readonly bundle: string;
}

/**
 * Returns a signature of cosign's attachments as the JSON text of a bundle (v0.1, which has the log's promise and no proof); undefined:
 * its annotations are malformed. The chain that cosign writes beside them is not read: the trusted root has the CAs.
 */
export function bundleOfAttachment(
  payload: Uint8Array,
  signature: Uint8Array,
  { certificate, bundle }: KeylessAnnotations,
): string | undefined {
  try {
    const fields = Fields.parse(Buffer.from(bundle), 'the answer', (text) => new AttachmentError(text));
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
    if (error instanceof AttachmentError) return undefined;
    throw error;
  }
}

function derOf(pem: string): Buffer {
  if (!/^\s*-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\s*$/.test(pem))
    throw new AttachmentError('not one certificate');
  try {
    return new X509Certificate(pem).raw;
  } catch {
    throw new AttachmentError('not a certificate');
  }
}
