import type { JsonFields } from '@kata-agent/base';
import {
  checkEnvelope,
  type Descriptor,
  type Digest,
  type FetchedManifest,
  ImageError,
  MediaType,
  parseDescriptor,
  parseDocument,
} from '@kata-agent/registry';
import type { ImageDocuments } from '../manifest/image-documents.js';
import { bundleType, signPredicate } from './bundle.js';
import type { SignatureCandidate } from './signature-candidate.js';
import type { SignatureFormat } from './signature-requirements.js';

const simpleSigningType = 'application/vnd.dev.cosign.simplesigning.v1+json';
const annotation = {
  signature: 'dev.cosignproject.cosign/signature',
  certificate: 'dev.sigstore.cosign/certificate',
  bundle: 'dev.sigstore.cosign/bundle',
} as const;

/** Types of an entry that can be a bundle. cosign writes that of the empty configuration when it makes the index itself. */
const bundleEntryTypes: readonly unknown[] = [bundleType, 'application/vnd.oci.empty.v1+json', undefined];

/** Documents among which signatures are found. */
export type SignatureDocuments = Omit<ImageDocuments, 'configuration'>;

/** Of one object and format. A client that may push signatures can push many: those after these are not read. */
const maxCandidates = 16;
const maxEntries = 1_000;
const maxCandidateBytes = 256 * 1024;

/** Yields the signatures that the registry has of a digest, one after the other: the first valid one ends the search. */
export function findSignatures(
  documents: SignatureDocuments,
  digest: Digest,
  format: SignatureFormat,
): AsyncGenerator<SignatureCandidate> {
  return format === 'bundle' ? bundles(documents, digest) : attachments(documents, digest);
}

/** cosign's and skopeo's attachments: layers of a manifest whose tag is made from the digest. */
async function* attachments(
  documents: SignatureDocuments,
  digest: Digest,
): AsyncGenerator<SignatureCandidate> {
  const manifest = await documents.attachment(`${digest.replace(':', '-')}.sig`, [MediaType.ociManifest]);
  if (manifest === undefined) return;
  const layers = artifactOf(manifest).objects('layers', maxEntries).map(parseDescriptor);
  const wanted = layers.filter(({ mediaType }) => mediaType === simpleSigningType).slice(0, maxCandidates);
  for (const layer of wanted) {
    const text = layer.annotations.get(annotation.signature) ?? '';
    const signature = Buffer.from(text, 'base64');
    if (signature.length === 0) continue;
    const payload = await signatureBlob(documents, layer);
    const [certificate, bundle] = [annotation.certificate, annotation.bundle].map((name) =>
      layer.annotations.get(name),
    );
    const keyless =
      certificate === undefined || bundle === undefined ? {} : { keyless: { certificate, bundle } };
    yield { format: 'simple-signing', digest, payload, signature, ...keyless };
  }
}

/** cosign's bundles: manifests that refer to the digest as their subject. */
async function* bundles(documents: SignatureDocuments, digest: Digest): AsyncGenerator<SignatureCandidate> {
  const index = await documents.referrers(digest, bundleType, MediaType.ociIndex);
  if (index === undefined) return;
  const document = parseDocument(index.bytes, 'the index of referrers');
  checkEnvelope(document, MediaType.ociIndex);
  const wanted = document
    .objects('manifests', maxEntries)
    .filter((entry) => bundleEntryTypes.includes(entry.get('artifactType')))
    .sort((a, b) => Number(saysSignature(b)) - Number(saysSignature(a)))
    .slice(0, maxCandidates);
  for (const entry of wanted) {
    const { digest: at, mediaType } = parseDescriptor(entry);
    if (mediaType !== MediaType.ociManifest) continue;
    const artifact = artifactOf(await documents.manifest(at, [MediaType.ociManifest]));
    if (artifact.optionalObject('subject')?.get('digest') !== digest) continue;
    const [layer] = artifact.objects('layers', 1).map(parseDescriptor);
    if (layer?.mediaType === bundleType)
      yield { format: 'bundle', digest, bundle: await signatureBlob(documents, layer) };
  }
}

/** Reports whether an entry says to be a signature. Only the order follows from it: attestations can be many. */
function saysSignature(entry: JsonFields): boolean {
  return entry.optionalObject('annotations')?.get('dev.sigstore.bundle.predicateType') === signPredicate;
}

function artifactOf(manifest: FetchedManifest): JsonFields {
  const fields = parseDocument(manifest.bytes, `the manifest of a signature, ${manifest.digest}`);
  if (manifest.mediaType !== MediaType.ociManifest)
    throw new ImageError('manifest-unsupported', `${manifest.digest}, a signature's, is not an OCI manifest`);
  checkEnvelope(fields, MediaType.ociManifest);
  return fields;
}

async function signatureBlob(documents: SignatureDocuments, { digest, size }: Descriptor): Promise<Buffer> {
  if (size > maxCandidateBytes)
    throw new ImageError('answer-too-large', `signature ${digest} has more than ${maxCandidateBytes} bytes`);
  return documents.signature({ digest, size });
}
