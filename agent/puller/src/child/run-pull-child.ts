import type { ImageProcess } from '../manifest/image-config.js';
import { ownPlatform } from '../manifest/platform.js';
import { checkReference } from '../pull/check-reference.js';
import { ReceivedDocuments } from '../manifest/image-documents.js';
import { type VerifiedImage, verifyImage } from '../pull/verify-image.js';
import type { Digest } from '../reference/digest.js';
import { formatReference, parseReference } from '../reference/reference.js';
import { KeyAnswers, type UnwrapKey } from './key-answers.js';
import type { LayerFile } from './protocol.js';
import {
  blobFile,
  decryptedFile,
  parsePullMessage,
  type PullChildRequest,
  pullLineLength,
} from './pull-protocol.js';
import { type ChildSettings, runChild } from './run-child.js';

/** An image whose blobs are files of the blob directory. */
export interface ChildPulledImage {
  /** Normalized. */
  readonly reference: string;
  readonly digest: Digest;
  readonly manifestDigest: Digest;
  readonly process: ImageProcess;
  /** The lowest first. Their bytes are those of the image if they unpack to their `diffId`. */
  readonly layers: readonly LayerFile[];
  /** Of all blobs. */
  readonly bytes: number;
  /** `KEY (FORMAT, of the index)`, for the agent log. */
  readonly signatures: readonly string[];
}

/**
 * Pulls an image in a process that has the network, no capability, and nothing but the directory for blobs, which belongs to its
 * user (`childUsers.pull`). The process is believed in nothing: which image it is, its signatures and what it runs are verified here
 * from the documents that it sends, and layers where they are unpacked. Resolves when the process has ended. Throws an ImageError, or
 * a LayerError about the process; the abort's reason if `signal` aborted it.
 */
export async function runPullChild(
  { blobs, ...request }: PullChildRequest & { readonly blobs: string },
  {
    unwrapKey,
    ...settings
  }: ChildSettings & {
    readonly unwrapKey?: UnwrapKey;
  } = {},
): Promise<ChildPulledImage> {
  const reference = parseReference(request.reference);
  const { maxBytes } = request.settings;
  const requirements = checkReference(reference, request.settings);
  const keyless = requirements.some((requirement) => 'keyless' in requirement);
  const documents = await runChild(
    {
      task: { name: 'pull', blobs, keyless },
      verb: 'pulls the image',
      fileSize: maxBytes,
      request,
      milliseconds: request.totalMs,
      threads: 4,
      lineLength: pullLineLength,
      parse: parsePullMessage,
      answer: new KeyAnswers(reference, unwrapKey).answer,
    },
    settings,
  );
  const demand = { reference, requirements, platform: ownPlatform(), maxBytes };
  const image = await verifyImage(new ReceivedDocuments(documents), demand);
  return { reference: formatReference(reference), ...resultOf(image) };
}

function resultOf({
  digest,
  manifestDigest,
  manifest: { layers },
  config,
  signatures,
}: VerifiedImage): Omit<ChildPulledImage, 'reference'> {
  return {
    digest,
    manifestDigest,
    process: config.process,
    layers: layers.map((layer, index) => {
      const diffId = config.diffIds[index];
      if (diffId === undefined) throw new Error('verifyImage compares the numbers');
      return {
        file: layer.type.encrypted ? decryptedFile(index) : blobFile(layer.digest),
        mediaType: layer.type.mediaType,
        diffId,
      };
    }),
    bytes: layers.reduce((sum, { size }) => sum + size, 0),
    signatures: signatures.map(({ signer, format, signed }) => `${signer} (${format}, of the ${signed})`),
  };
}
