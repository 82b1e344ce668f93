import { hasImageCode, ImageError } from '../errors/image-error.js';
import type { Answer } from '../http/transport.js';
import { type Digest, digestAlgorithm, digestHex, digestOf, isDigest } from '../reference/digest.js';
import type { EndpointClient } from './endpoint-client.js';

/**
 * Of a manifest, an index or a configuration, in bytes. The agent parses them between other calls: half a MiB is 50 ms at worst, and
 * more than ten times what images have.
 */
export const maxDocumentBytes: number = 512 * 1024;

/** Of all documents of an image, with its signatures, in bytes. */
export const maxDocumentsBytes: number = 4 * 1024 * 1024;

/** A manifest as it was sent. Its digest is computed, never read from a header. */
export interface FetchedManifest {
  readonly bytes: Buffer;
  readonly digest: Digest;
  /** Of the Content-Type header. */
  readonly mediaType: string;
}

/** Reads a repository, at the first endpoint that has what is asked for. */
export class Registry {
  readonly #clients: readonly EndpointClient[];

  /** @param clients At least one: the mirror if there is one, then the registry. */
  constructor(clients: readonly EndpointClient[]) {
    this.#clients = clients;
  }

  /**
   * Fetches a manifest or index.
   *
   * @param reference A tag, or the digest that the bytes must have.
   * @param accept The media types that the caller knows.
   */
  async manifest(reference: string, accept: readonly string[]): Promise<FetchedManifest> {
    return this.#first(async (client) => {
      const answer = await client.get(`manifests/${reference}`, { headers: { Accept: accept.join(', ') } });
      return readManifest(answer, `manifest ${reference} of ${client.name}`, reference);
    });
  }

  /**
   * Fetches the index of what refers to a digest: by the referrers API, else by its fallback tag, as registries without the API have
   * it. Undefined when there is neither.
   */
  async referrers(
    digest: Digest,
    artifactType: string,
    indexType: string,
  ): Promise<FetchedManifest | undefined> {
    const path = `referrers/${digest}?artifactType=${encodeURIComponent(artifactType)}`;
    return this.#first(async (client) => {
      try {
        const answer = await client.get(path, { headers: { Accept: indexType } });
        if (answer.mediaType === indexType)
          return await readManifest(answer, `referrers of ${client.name}`, 'referrers');
        // A server that answers every path.
        answer.discard();
      } catch (error) {
        // Registries without the API answer with any of these; with an error page or a redirect to one.
        if (!hasImageCode(error, 'not-found', 'registry-failed', 'redirect-refused', 'unauthorized'))
          throw error;
      }
      // The specification cuts the digest to 64 characters.
      return this.#optional(client, `${digestAlgorithm(digest)}-${digestHex(digest).slice(0, 64)}`, [
        indexType,
      ]);
    });
  }

  /** Fetches a manifest by a tag that may not exist. */
  async attachment(tag: string, accept: readonly string[]): Promise<FetchedManifest | undefined> {
    return this.#first((client) => this.#optional(client, tag, accept));
  }

  /** Requests a blob from an offset. The first endpoint that answers is the one. */
  async blob(digest: Digest, offset: number): Promise<Answer> {
    const headers = offset === 0 ? {} : { Range: `bytes=${offset}-` };
    return this.#first((client) => client.get(`blobs/${digest}`, { headers, follow: true }));
  }

  /** Reads a blob of this size and digest, which is a document: a configuration or a signature. */
  async document(
    { digest, size }: { readonly digest: Digest; readonly size: number },
    what: string,
  ): Promise<Buffer> {
    if (size > maxDocumentBytes)
      throw new ImageError('image-too-large', `${what} has ${size} bytes: more than ${maxDocumentBytes}`);
    const bytes = await (await this.blob(digest, 0)).bytes(size, `${what} ${digest}`);
    if (digestOf(bytes, digestAlgorithm(digest)) === digest) return bytes;
    throw new ImageError('digest-mismatch', `${what} ${digest} has another digest`);
  }

  async #optional(
    client: EndpointClient,
    tag: string,
    accept: readonly string[],
  ): Promise<FetchedManifest | undefined> {
    try {
      const answer = await client.get(`manifests/${tag}`, { headers: { Accept: accept.join(', ') } });
      return await readManifest(answer, `manifest ${tag} of ${client.name}`, tag);
    } catch (error) {
      if (hasImageCode(error, 'not-found')) return undefined;
      throw error;
    }
  }

  /**
   * Tries each endpoint. One that cannot be reached or does not have the object is followed by the next; a wrong answer is not: it is
   * an attack or damage, and must be seen.
   */
  async #first<T>(read: (client: EndpointClient) => Promise<T>): Promise<T> {
    let last: unknown;
    for (const client of this.#clients)
      try {
        const result = await read(client);
        if (result !== undefined || client === this.#clients.at(-1)) return result;
      } catch (error) {
        const next = hasImageCode(
          error,
          'registry-unreachable',
          'proxy-failed',
          'unauthorized',
          'not-found',
          'registry-failed',
          'too-slow',
        );
        if (!next) throw error;
        last = error;
      }
    throw last;
  }
}

async function readManifest(answer: Answer, what: string, reference: string): Promise<FetchedManifest> {
  const { mediaType } = answer;
  if (answer.status !== 200 || mediaType === undefined) {
    answer.discard();
    throw new ImageError('answer-invalid', `${what} comes without a media type, or in part`);
  }
  const bytes = await answer.bytes(maxDocumentBytes, what);
  const digest = digestOf(bytes, isDigest(reference) ? digestAlgorithm(reference) : 'sha256');
  if (isDigest(reference) && digest !== reference)
    throw new ImageError('digest-mismatch', `${what} has the digest ${digest}`);
  return { bytes, digest, mediaType };
}
