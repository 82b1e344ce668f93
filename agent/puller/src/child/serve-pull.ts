import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { loadSyscalls } from '@kata-agent/linux';
import { type FetchedManifest, ImageError, type LayerDescriptor } from '@kata-agent/registry';
import type { WrappedKey } from '../encryption/layer-cipher.js';
import { pull } from '../pull/pull.js';
import type { SentDocument } from '../manifest/image-documents.js';
import type { PulledLayer } from '../pull/pull-request.js';
import { loadKeyless } from '../signature/keyless/load-keyless.js';
import { blobFile, decryptedFile, type PullChildRequest, pullLineLength } from './pull-protocol.js';
import { filterCalls, openAgentSocket, readRequest } from './serve.js';

const progressInterval = 1_000;
const directory = '/blobs';

/** Filters system calls, then reads one request from the agent, pulls, and ends. */
export async function servePull(agentSocket: number, keyless: boolean): Promise<void> {
  if (keyless) await loadKeyless();
  filterCalls(loadSyscalls(), { network: true });
  const { socket, send } = openAgentSocket(agentSocket);
  const beat = setInterval(() => send({ progress: true }), progressInterval);
  try {
    const keys = new KeyQuestions(send);
    const { reference, settings, totalMs, userAgent, proxy } = (await readRequest(
      socket,
      pullLineLength,
      keys.answer,
    )) as PullChildRequest;
    // The agent ends the process to end the pull.
    const { signal } = new AbortController();
    const dependencies = {
      directory,
      signal,
      totalMs,
      userAgent,
      unwrapKey: keys.unwrapKey,
      onDocuments: (documents: readonly SentDocument[]) => send({ documents: documents.map(encoded) }),
      onLayer: ({ digest, type }: LayerDescriptor) => {
        if (!type.encrypted) send({ fetched: blobFile(digest) });
      },
      ...(proxy === undefined ? {} : { proxy }),
    };
    const image = await pull({ reference, settings }, dependencies);
    await decryptLayers(image.layers);
    for (const [index, { digest, encrypted }] of image.layers.entries())
      send({ fetched: encrypted ? decryptedFile(index) : blobFile(digest) });
    send({ done: true });
  } catch (error) {
    const code = error instanceof ImageError ? error.code : 'child';
    send({ error: { code, message: error instanceof Error ? error.message : String(error) } });
    process.exitCode = 1;
  }
  clearInterval(beat);
  socket.end(() => process.exit());
}

/** Writes the bytes of encrypted layers beside their blobs, which are removed: those who unpack have no keys. */
async function decryptLayers(layers: readonly PulledLayer[]): Promise<void> {
  for (const [index, layer] of layers.entries()) {
    if (!layer.encrypted) continue;
    const file = createWriteStream(join(directory, decryptedFile(index)), { flags: 'wx', mode: 0o600 });
    await pipeline(layer.open(), file).catch((error: NodeJS.ErrnoException) => {
      throw storeFailure(error);
    });
    if (!layers.slice(index + 1).some(({ digest }) => digest === layer.digest))
      await rm(join(directory, blobFile(layer.digest)));
  }
}

/** Reports that decrypted bytes cannot be stored. */
function storeFailure(error: NodeJS.ErrnoException): unknown {
  if (error.code === 'ENOSPC' || error.code === 'EFBIG')
    return new ImageError('disk-full', `a decrypted layer cannot be written: ${error.code}`);
  return error;
}

function encoded({ kind, name, content }: SentDocument): unknown {
  if (content === undefined) return { kind, name };
  return { kind, name, content: { mediaType: content.mediaType, bytes: content.bytes.toString('base64') } };
}

/** Asks the agent to unwrap keys of layers: the process that talks to registries has no private key. */
class KeyQuestions {
  readonly #send: (message: unknown) => void;
  readonly #waiting: ((options: Uint8Array | undefined) => void)[] = [];
  #sentManifests = false;

  constructor(send: (message: unknown) => void) {
    this.#send = send;
  }

  /**
   * Resolves with the options of a layer's cipher; undefined: the agent has no key for them. The agent gets the manifests once, to see
   * that they have the key.
   */
  readonly unwrapKey = async (
    { scheme, packet }: WrappedKey,
    manifests: readonly FetchedManifest[],
  ): Promise<Uint8Array | undefined> => {
    if (!this.#sentManifests) {
      this.#sentManifests = true;
      await this.#ask({
        manifests: manifests.map(({ mediaType, bytes }) => ({ mediaType, bytes: bytes.toString('base64') })),
      });
    }
    return this.#ask({ unwrap: { scheme, packet: Buffer.from(packet).toString('base64') } });
  };

  /** Takes the agent's answer to the oldest question. */
  readonly answer = (value: unknown): void => {
    const { options } = value as { readonly options: string | null };
    this.#waiting.shift()?.(options === null ? undefined : Buffer.from(options, 'base64'));
  };

  #ask(question: unknown): Promise<Uint8Array | undefined> {
    this.#send(question);
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }
}
