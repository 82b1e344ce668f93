import { once } from 'node:events';
import { request } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';
import type { ClientCertificate } from './authority.js';
import type { RealmHome } from './realm-process.js';

/** An operator of a realm: a client certificate, and requests with it. */
export class RealmOperator {
  readonly #home: RealmHome;
  readonly #certificate: ClientCertificate;

  constructor(home: RealmHome, certificate: ClientCertificate) {
    this.#home = home;
    this.#certificate = certificate;
  }

  /** Makes a request, and returns its status and body. */
  async request(
    port: number,
    path: string,
    { method = 'GET', body = '' }: { readonly method?: string; readonly body?: string } = {},
  ): Promise<{ readonly status: number; readonly body: string }> {
    return await new Promise((resolve, reject) => {
      const asked = request(
        { ...this.#tls(port), path, method, agent: false, headers: { 'Content-Type': 'application/json' } },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (part: string) => {
            text += part;
          });
          response.once('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
          response.once('error', reject);
        },
      );
      asked.once('error', reject);
      asked.end(body);
    });
  }

  /** Connects to a guest; returns the head of the answer, and the connection after it. */
  async connect(port: number, guest: string): Promise<{ readonly head: string; readonly socket: TLSSocket }> {
    const socket = connect(this.#tls(port));
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    socket.write(
      `GET /guests/${guest} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: kata-agent-ttrpc/1\r\n\r\n`,
    );
    let text = '';
    for (;;) {
      const bytes = socket.read() as Buffer | null;
      if (bytes === null) {
        if (socket.readableEnded || socket.destroyed) return { head: text, socket };
        await Promise.race([once(socket, 'readable'), once(socket, 'end'), once(socket, 'close')]);
        continue;
      }
      text += bytes.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) continue;
      const rest = text.slice(end + 4);
      if (rest !== '') socket.unshift(Buffer.from(rest, 'latin1'));
      return { head: text.slice(0, end), socket };
    }
  }

  #tls(port: number): {
    readonly port: number;
    readonly host: string;
    readonly servername: string;
    readonly ca: string;
    readonly cert: string;
    readonly key: string;
    readonly ALPNProtocols: string[];
  } {
    return {
      port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: this.#home.ca.pem,
      cert: this.#certificate.cert,
      key: this.#certificate.key,
      ALPNProtocols: ['http/1.1'],
    };
  }
}
