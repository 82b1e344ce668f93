import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { ClientCertificate } from './authority.js';
import { manifestType, type Stored, type TestImage } from './oci-image.js';

export interface SeenRequest {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

/** Answers a request, or returns false: then it is answered as a registry does. */
export type Behaviour = (
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
) => boolean | undefined | void;

/** A registry in this process that serves what it is given, and lies where a test says so. */
export class HostileRegistry {
  readonly port: number;
  readonly requests: SeenRequest[] = [];
  behaviour: Behaviour = () => false;
  readonly #server: Server;
  readonly #manifests = new Map<string, { readonly mediaType: string; readonly bytes: Buffer }>();
  readonly #blobs = new Map<string, Buffer>();

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const path = request.url ?? '';
      this.requests.push({ path, headers: request.headers });
      response.on('error', () => undefined);
      if (this.behaviour(path, request, response) === true) return;
      this.serve(path, request, response);
    });
  }

  static async start({ key, cert }: Pick<ClientCertificate, 'key' | 'cert'>): Promise<HostileRegistry> {
    const server = createServer({ key, cert }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    server.on('tlsClientError', () => undefined);
    return new HostileRegistry(server);
  }

  /** Forgets requests and behaviour. */
  reset(): void {
    this.requests.length = 0;
    this.behaviour = () => false;
  }

  putBlob({ digest, bytes }: Stored): void {
    this.#blobs.set(digest, bytes);
  }

  putManifest({ digest, bytes }: Stored, mediaType: string, ...tags: readonly string[]): void {
    for (const name of [digest, ...tags]) this.#manifests.set(name, { mediaType, bytes });
  }

  deleteManifest(name: string): void {
    this.#manifests.delete(name);
  }

  putImage({ manifest, config, layers }: TestImage, ...tags: readonly string[]): void {
    for (const blob of [config, ...layers]) this.putBlob(blob);
    this.putManifest(manifest, manifestType, ...tags);
  }

  /** Answers as a registry does, by manifests and blobs of any repository. */
  serve(path: string, request: IncomingMessage, response: ServerResponse): void {
    const [, kind, name = ''] = /\/(manifests|blobs)\/([^/?]+)$/.exec(path) ?? [];
    const manifest = kind === 'manifests' ? this.#manifests.get(name) : undefined;
    const bytes = manifest?.bytes ?? (kind === 'blobs' ? this.#blobs.get(name) : undefined);
    if (bytes === undefined) {
      response.writeHead(404).end('{}');
      return;
    }
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const range = from === 0 ? {} : { 'Content-Range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` };
    response.writeHead(from === 0 ? 200 : 206, {
      'Content-Type': manifest?.mediaType ?? 'application/octet-stream',
      'Content-Length': bytes.length - from,
      ...range,
    });
    response.end(bytes.subarray(from));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
