import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server } from 'node:tls';
import type { ClientCertificate } from './authority.js';

const protocols = ['kata-agent-ttrpc'];

/** A proxy between a client and an agent, which ends TLS with a key of its own and passes on what each end sends. */
export class TlsRelay {
  readonly port: number;
  readonly #server: Server;
  readonly #sent: Buffer[];

  private constructor(server: Server, sent: Buffer[]) {
    this.#server = server;
    this.#sent = sent;
    this.port = (server.address() as AddressInfo).port;
  }

  /** `own`: what it shows to clients; `client`: a certificate that the agent accepts. */
  static async start(
    agent: { readonly host: string; readonly port: number },
    own: ClientCertificate,
    client: ClientCertificate,
  ): Promise<TlsRelay> {
    const sent: Buffer[] = [];
    const { key, cert } = own;
    const options = { key, cert, requestCert: true, rejectUnauthorized: false, ALPNProtocols: protocols };
    const server = createServer(options, (inner) => {
      const outer = connect({
        ...agent,
        cert: client.cert,
        key: client.key,
        ALPNProtocols: protocols,
        rejectUnauthorized: false,
      });
      for (const end of [inner, outer]) end.on('error', () => undefined);
      inner.on('data', (chunk: Buffer) => sent.push(chunk));
      inner.pipe(outer);
      outer.pipe(inner);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TlsRelay(server, sent);
  }

  /** What clients have sent. */
  get passed(): string {
    return Buffer.concat(this.#sent).toString('latin1');
  }

  close(): void {
    this.#server.close();
  }
}
