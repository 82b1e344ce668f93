import { setImmediate } from 'node:timers/promises';
import {
  type Digest,
  digestAlgorithm,
  digestOf,
  type FetchedManifest,
  ImageError,
  isDigest,
  maxDocumentBytes,
  maxDocumentsBytes,
  type Registry,
} from '@kata-agent/registry';
import { type BlobDirectory, downloadBlob } from '../registry/download-blob.js';
import { LayerError } from '../unpack/layer-error.js';

/** The size and digest of a blob. */
interface NamedBlob {
  readonly digest: Digest;
  readonly size: number;
}

/** The documents that decide which image a reference is: all but the layers. */
export interface ImageDocuments {
  /** Returns what a tag names, or a digest, which the bytes then have. */
  manifest(reference: string, accept: readonly string[]): Promise<FetchedManifest>;
  /** Returns the index of what refers to a digest; undefined: nothing does. */
  referrers(digest: Digest, artifactType: string, indexType: string): Promise<FetchedManifest | undefined>;
  /** Returns what a tag names that may not exist. */
  attachment(tag: string, accept: readonly string[]): Promise<FetchedManifest | undefined>;
  /** Returns the blob of a signature, which has this size and digest. */
  signature(blob: NamedBlob): Promise<Buffer>;
  /** Returns the configuration, which has this size and digest. */
  configuration(blob: NamedBlob): Promise<Buffer>;
}

/** A document as it was fetched, for another process to verify. */
export interface SentDocument {
  readonly kind: keyof ImageDocuments;
  /** What was asked for: a tag or a digest. */
  readonly name: string;
  /** Undefined: there is none. `mediaType` is empty for a blob. */
  readonly content?: { readonly mediaType: string; readonly bytes: Buffer };
}

/** Documents of a registry, which are kept as they are sent. */
export class FetchedDocuments implements ImageDocuments {
  readonly #registry: Registry;
  readonly #blobs: BlobDirectory;
  readonly #fetched = new Map<string, SentDocument>();
  #bytes = 0;

  constructor(registry: Registry, blobs: BlobDirectory) {
    this.#registry = registry;
    this.#blobs = blobs;
  }

  /** All that were asked for so far. */
  get fetched(): readonly SentDocument[] {
    return [...this.#fetched.values()];
  }

  async manifest(reference: string, accept: readonly string[]): Promise<FetchedManifest> {
    return this.#keep('manifest', reference, await this.#registry.manifest(reference, accept));
  }

  async referrers(
    digest: Digest,
    artifactType: string,
    indexType: string,
  ): Promise<FetchedManifest | undefined> {
    return this.#keep('referrers', digest, await this.#registry.referrers(digest, artifactType, indexType));
  }

  async attachment(tag: string, accept: readonly string[]): Promise<FetchedManifest | undefined> {
    return this.#keep('attachment', tag, await this.#registry.attachment(tag, accept));
  }

  async signature(blob: NamedBlob): Promise<Buffer> {
    const bytes = await this.#registry.document(blob, 'signature');
    this.#keep('signature', blob.digest, { mediaType: '', bytes });
    return bytes;
  }

  async configuration(blob: NamedBlob): Promise<Buffer> {
    await downloadBlob(this.#registry.blob.bind(this.#registry), this.#blobs, blob);
    const bytes = await this.#blobs.read(blob.digest);
    this.#keep('configuration', blob.digest, { mediaType: '', bytes });
    return bytes;
  }

  #keep<Content extends SentDocument['content']>(
    kind: SentDocument['kind'],
    name: string,
    content: Content,
  ): Content {
    this.#bytes += content?.bytes.length ?? 0;
    if (this.#bytes > maxDocumentsBytes)
      throw new ImageError(
        'answer-too-large',
        `manifests, signatures and configuration have more than ${maxDocumentsBytes} bytes`,
      );
    this.#fetched.set(keyOf(kind, name), {
      kind,
      name,
      ...(content === undefined ? {} : { content: { mediaType: content.mediaType, bytes: content.bytes } }),
    });
    return content;
  }
}

/**
 * Documents fetched by another process, which is not trusted: of what is asked for by digest the digest is computed again, and what
 * is missing is an error.
 */
export class ReceivedDocuments implements ImageDocuments {
  readonly #documents: ReadonlyMap<string, SentDocument>;

  constructor(documents: readonly SentDocument[]) {
    this.#documents = new Map(documents.map((document) => [keyOf(document.kind, document.name), document]));
  }

  async manifest(reference: string): Promise<FetchedManifest> {
    const content = await this.#content('manifest', reference);
    if (content === undefined) throw missing('manifest', reference);
    const digest = digestOf(content.bytes, isDigest(reference) ? digestAlgorithm(reference) : 'sha256');
    if (isDigest(reference) && digest !== reference)
      throw new ImageError('digest-mismatch', `manifest ${reference} has the digest ${digest}`);
    return { ...content, digest };
  }

  async referrers(digest: Digest): Promise<FetchedManifest | undefined> {
    return this.#unnamed('referrers', digest);
  }

  async attachment(tag: string): Promise<FetchedManifest | undefined> {
    return this.#unnamed('attachment', tag);
  }

  async signature(blob: NamedBlob): Promise<Buffer> {
    return this.#blob('signature', blob);
  }

  async configuration(blob: NamedBlob): Promise<Buffer> {
    return this.#blob('configuration', blob);
  }

  async #unnamed(kind: 'referrers' | 'attachment', name: string): Promise<FetchedManifest | undefined> {
    const content = await this.#content(kind, name);
    return content === undefined ? undefined : { ...content, digest: digestOf(content.bytes) };
  }

  async #blob(kind: 'signature' | 'configuration', { digest, size }: NamedBlob): Promise<Buffer> {
    const content = await this.#content(kind, digest);
    if (content === undefined) throw missing(kind, digest);
    if (content.bytes.length !== size)
      throw new ImageError(
        'size-mismatch',
        `${kind} ${digest} has ${content.bytes.length} instead of ${size} bytes`,
      );
    if (digestOf(content.bytes, digestAlgorithm(digest)) !== digest)
      throw new ImageError('digest-mismatch', `${kind} ${digest} has another digest`);
    return content.bytes;
  }

  async #content(kind: SentDocument['kind'], name: string): Promise<SentDocument['content']> {
    // Each document is parsed at once: other work continues between them.
    await setImmediate();
    const document = this.#documents.get(keyOf(kind, name));
    if (document === undefined) throw missing(kind, name);
    if ((document.content?.bytes.length ?? 0) > maxDocumentBytes)
      throw new ImageError('answer-too-large', `${kind} ${name} has more than ${maxDocumentBytes} bytes`);
    return document.content;
  }
}

function keyOf(kind: SentDocument['kind'], name: string): string {
  return `${kind} ${name}`;
}

function missing(kind: SentDocument['kind'], name: string): LayerError {
  return new LayerError('child', `the process that pulls the image did not send ${kind} ${name}`);
}
