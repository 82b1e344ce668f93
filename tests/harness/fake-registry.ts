import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Bytes by the path of their URL, from `/`. */
export type Pages = (origin: string) => Readonly<Record<string, Buffer | string>>;

/** The answer to a request for a path: the file, 503, or none. */
export type Answer = (path: string) => 'serve' | 'busy' | 'silent';

/** A package registry on loopback that can fail. */
export class FakeRegistry {
  readonly origin: string;
  /** The paths of served files, in order. */
  readonly served: string[] = [];
  answer: Answer = () => 'serve';
  readonly #server: Server;

  private constructor(server: Server, pages: Pages) {
    this.#server = server;
    this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const files = pages(this.origin);
    server.on('request', (request, response) => {
      const path = decodeURIComponent(request.url ?? '');
      const answer = this.answer(path);
      if (answer === 'silent') return;
      const page = files[path];
      response.statusCode = answer === 'busy' ? 503 : page === undefined ? 404 : 200;
      if (response.statusCode === 200) this.served.push(path);
      response.end(response.statusCode === 200 ? page : '');
    });
  }

  static async start(pages: Pages): Promise<FakeRegistry> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FakeRegistry(server, pages);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** Fails the first requests for a path, and then serves it. */
export function busyFor(times: number, wanted: string): Answer {
  let left = times;
  return (path) => {
    if (path !== wanted || left === 0) return 'serve';
    left -= 1;
    return 'busy';
  };
}
