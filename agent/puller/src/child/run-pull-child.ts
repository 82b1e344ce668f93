import {
  chooseManifest,
  type Digest,
  digestAlgorithm,
  digestOf,
  formatReference,
  type ImageProcess,
  type ImageReference,
  isDigest,
  ownPlatform,
  parseReference,
} from '@kata-agent/registry';
import { type WrappedKey, wrappedKeys } from '../encryption/layer-cipher.js';
import { checkReference } from '../pull/check-reference.js';
import { ReceivedDocuments, type SentDocument } from '../manifest/image-documents.js';
import { type VerifiedImage, verifyImage } from '../pull/verify-image.js';
import { LayerError } from '../unpack/layer-error.js';
import type { LayerFile } from './unpack-protocol.js';
import {
  blobFile,
  decryptedFile,
  parsePullMessage,
  type PullChildRequest,
  pullLineLength,
  type PullQuestion,
  type SentManifest,
} from './pull-protocol.js';
import { type ChildOutcome, type ChildSettings, runChild } from './run-child.js';

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
  { unwrapKey, onImage, onFile, ...settings }: PullChildSettings = {},
): Promise<ChildPulledImage> {
  const reference = parseReference(request.reference);
  const { maxBytes } = request.settings;
  const requirements = checkReference(reference, request.settings);
  const keyless = requirements.some((requirement) => 'keyless' in requirement);
  const demand = { reference, requirements, platform: ownPlatform(), maxBytes };
  const refused = new AbortController();
  let image: Promise<ChildPulledImage> | undefined;
  const verify = async (documents: readonly SentDocument[]): Promise<ChildPulledImage> => {
    const verified = await verifyImage(new ReceivedDocuments(documents), demand);
    const found = { reference: formatReference(reference), ...resultOf(verified) };
    onImage?.(found);
    return found;
  };
  const parse = (line: string): ChildOutcome<undefined, PullQuestion> => {
    const message = parsePullMessage(line);
    if (message.kind === 'documents') {
      if (image !== undefined) throw strange('sent documents twice');
      image = verify(message.documents);
      image.catch((error: unknown) => refused.abort(error));
      return { kind: 'progress' };
    }
    if (message.kind === 'fetched') {
      if (image === undefined) throw strange('sent a layer before the documents');
      const { file } = message;
      const add = ({ layers }: ChildPulledImage): void => {
        if (layers.some((layer) => layer.file === file)) onFile?.(file);
      };
      // A failure of the image ends the process.
      image.then(add, () => undefined);
      return { kind: 'progress' };
    }
    return message;
  };
  const { signal } = settings;
  await runChild(
    {
      task: { name: 'pull', blobs, keyless },
      verb: 'pulls the image',
      fileSize: maxBytes,
      requests: [request],
      milliseconds: request.totalMs,
      threads: 4,
      lineLength: pullLineLength,
      parse,
      answer: new KeyAnswers(reference, unwrapKey).answer,
    },
    { ...settings, signal: AbortSignal.any([refused.signal, ...(signal === undefined ? [] : [signal])]) },
  );
  if (image === undefined) throw strange('sent no documents');
  return await image;
}

/** Options for the process that pulls. */
interface PullChildSettings extends ChildSettings {
  readonly unwrapKey?: UnwrapKey;
  /** Receives the image once it is verified, before its layers are fetched. */
  readonly onImage?: (image: ChildPulledImage) => void;
  /** Receives the file of each layer whose bytes are complete, some twice. */
  readonly onFile?: (file: string) => void;
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

/** Returns the options of a layer's cipher; undefined: there is no key for them. */
export type UnwrapKey = (key: WrappedKey) => Promise<Uint8Array | undefined>;

/**
 * Answers `KeyQuestions`. A process that was taken over would ask for keys of other images, too: if the reference has a digest, only
 * the keys in the manifest with this digest are unwrapped, which the process sends and this class verifies. A tag says nothing
 * about the manifest.
 */
export class KeyAnswers {
  readonly #reference: ImageReference;
  readonly #unwrapKey: UnwrapKey | undefined;
  /** Undefined: there was no manifest. */
  #keys: ReadonlySet<string> | undefined;

  constructor(reference: ImageReference, unwrapKey: UnwrapKey | undefined) {
    this.#reference = reference;
    this.#unwrapKey = unwrapKey;
  }

  /** Throws a LayerError for a question that the process does not ask unless it was taken over. */
  readonly answer = async (question: PullQuestion): Promise<{ readonly options: string | null }> => {
    if (question.kind === 'manifests') {
      if (this.#keys !== undefined) throw strange('sent manifests twice');
      this.#keys = this.#reference.digest === undefined ? new Set() : await this.#keysIn(question.manifests);
      return { options: null };
    }
    if (this.#reference.digest !== undefined && this.#keys?.has(textOf(question.key)) !== true)
      throw strange('asked for a key that the manifest with the digest of the reference does not have');
    const options = await this.#unwrapKey?.(question.key);
    return { options: options === undefined ? null : Buffer.from(options).toString('base64') };
  };

  /** Chooses the manifest as the process does, from nothing but bytes that have the digest. */
  async #keysIn(manifests: readonly SentManifest[]): Promise<ReadonlySet<string>> {
    const registry = {
      manifest: async (name: string) => {
        const sent = isDigest(name)
          ? manifests.find(({ bytes }) => digestOf(bytes, digestAlgorithm(name)) === name)
          : undefined;
        if (sent === undefined || !isDigest(name))
          throw strange('sent other manifests than that with the digest of the reference');
        return { ...sent, digest: name };
      },
    };
    const { manifest } = await chooseManifest(registry, this.#reference, ownPlatform());
    return new Set(manifest.layers.flatMap((layer) => wrappedKeys(layer).map(textOf)));
  }
}

function textOf({ scheme, packet }: WrappedKey): string {
  return `${scheme} ${Buffer.from(packet).toString('base64')}`;
}

function strange(what: string): LayerError {
  return new LayerError('child', `the process that pulls the image ${what}`);
}
