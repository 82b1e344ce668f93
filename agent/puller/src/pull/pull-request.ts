import type { Readable } from 'node:stream';
import type { NetworkPlace } from '@kata-agent/linux';
import type {
  Credential,
  Digest,
  FetchedManifest,
  ImageConfig,
  ImageReference,
  LayerDescriptor,
  Platform,
  TransportLimits,
} from '@kata-agent/registry';
import type { WrappedKey } from '../encryption/layer-cipher.js';
import type { SignatureList } from '../signature/signature-requirements.js';
import type { VerifiedSignature } from '../signature/verify-signatures.js';
import type { SentDocument } from '../manifest/image-documents.js';

/** The part of `[image]` that a pull follows, with the files that it names read. */
export interface PullSettings {
  /** Lists of patterns: an image must match in each list. Empty: every registry. */
  readonly registries: readonly (readonly string[])[];
  readonly requireDigest: boolean;
  /** Each CA as PEM. Empty: the public CAs of Node.js. */
  readonly registryCa: readonly string[];
  readonly credentials: readonly Credential[];
  readonly tokenHosts: Readonly<Record<string, readonly string[]>>;
  readonly mirrors: Readonly<Record<string, string>>;
  /** An image must pass each list. Empty: images need no signature. */
  readonly signatures: readonly SignatureList[];
  /** Private keys in PEM, of encrypted layers. */
  readonly decryptionKeys: readonly string[];
  /** Of all blobs of an image. */
  readonly maxBytes: number;
}

export interface PullRequest {
  readonly reference: string;
  /** Absent: that of this program. */
  readonly platform?: Platform;
  readonly settings: PullSettings;
}

export interface PullDependencies {
  /** An existing, empty directory that nobody else can write: blobs are stored there, and trusted once they are verified. */
  readonly directory: string;
  /** Ends the pull. */
  readonly signal: AbortSignal;
  readonly proxy?: NetworkPlace;
  readonly userAgent: string;
  readonly limits?: TransportLimits;
  /** For the whole pull. Absent: 20 minutes. */
  readonly totalMs?: number;
  /**
   * Returns the options of a layer's cipher, or undefined when it cannot: of a key that is wrapped for another recipient than a key of the
   * settings. `manifests`: what the reference names, and if that is an index the manifest that was chosen.
   */
  readonly unwrapKey?: (
    key: WrappedKey,
    manifests: readonly FetchedManifest[],
  ) => Promise<Uint8Array | undefined>;
  /** Receives what the image was verified from, before a layer is fetched. */
  readonly onDocuments?: (documents: readonly SentDocument[]) => void;
  /** Called for a layer whose blob was fetched and has its digest. */
  readonly onLayer?: (layer: LayerDescriptor) => void;
}

/** A blob on disk that has the size and digest of the manifest. */
export interface PulledLayer {
  /** Of the blob. */
  readonly digest: Digest;
  /** Of the unpacked bytes: the unpacker checks it. */
  readonly diffId: Digest;
  /** Of the bytes that `open` gives: never encrypted. */
  readonly mediaType: string;
  /** Of the blob. */
  readonly size: number;
  readonly encrypted: boolean;
  /** Gives the bytes, decrypted. An encrypted layer ends with an ImageError when they are not those that were encrypted. */
  readonly open: () => Readable;
}

export interface PulledImage {
  /** Normalized, as requested. */
  readonly reference: ImageReference;
  /** What the reference names: an index, or a manifest. */
  readonly digest: Digest;
  /** Of the platform's manifest. */
  readonly manifestDigest: Digest;
  readonly config: ImageConfig;
  /** The configuration's bytes: its digest is in the manifest. */
  readonly configDigest: Digest;
  /** The lowest first. */
  readonly layers: readonly PulledLayer[];
  /** One for each requirement of the policy. */
  readonly signatures: readonly VerifiedSignature[];
  /** What decided all this, to be verified again. */
  readonly documents: readonly SentDocument[];
}
