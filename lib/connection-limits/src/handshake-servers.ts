import { createServer, type Server, type TlsOptions, type TLSSocket } from 'node:tls';
import type { Duplex } from 'node:stream';

interface Ends {
  /** OpenSSL has verified the client. */
  readonly secure: (stream: TLSSocket) => void;
  /** `stream.authorizationError` is the result of verification, if it came to that. */
  readonly failed: (error: Error, stream: TLSSocket) => void;
}

/**
 * Servers of Node.js, each of which does one handshake at a time: what it reports is about the connection that it was given.
 * Node.js has no public member that tells the connection below a TLSSocket.
 */
export class HandshakeServers {
  readonly #options: TlsOptions;
  readonly #idle: Server[] = [];

  constructor(options: TlsOptions) {
    this.#options = options;
    // Throws if an option is not valid.
    this.#idle.push(createServer(options));
  }

  /** Begins a handshake. One of `ends` is called, unless the connection closes first: then it may be none. */
  begin(connection: Duplex, ends: Ends): void {
    const server = this.#idle.pop() ?? createServer(this.#options);
    const ended = (): void => {
      server.removeAllListeners('secureConnection').removeAllListeners('tlsClientError');
      this.#idle.push(server);
    };
    server.once('secureConnection', (stream) => {
      ended();
      ends.secure(stream);
    });
    server.once('tlsClientError', (error, stream) => {
      ended();
      ends.failed(error, stream);
    });
    server.emit('connection', connection);
  }
}
