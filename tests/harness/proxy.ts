import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** What a proxy does with a request. Undefined: connects, and passes bytes on. */
type Behaviour = (client: Socket) => void;

/** A proxy that takes CONNECT, and knows names that nobody else can look up. */
export class ConnectProxy {
  readonly port: number;
  /** The requests with their headers. */
  readonly requests: string[] = [];
  /** The ports on 127.0.0.1 that it connects to, by `HOST:PORT`. */
  readonly places: Map<string, number>;
  /** Absent: connects. */
  behaviour: Behaviour | undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, places: Readonly<Record<string, number>>) {
    this.#server = server;
    this.places = new Map(Object.entries(places));
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (client) => {
      this.#keep(client);
      let text = '';
      const read = (bytes: Buffer): void => {
        text += bytes.toString('latin1');
        if (!text.endsWith('\r\n\r\n')) return;
        client.off('data', read);
        this.requests.push(text);
        if (this.behaviour === undefined) this.#pass(client, this.places.get(text.split(' ')[1] ?? '') ?? 0);
        else this.behaviour(client);
      };
      client.on('data', read);
    });
  }

  /**
   * Listens on 127.0.0.1.
   *
   * @param places the ports there that it connects to, by `HOST:PORT`.
   * @param port 0: any that is free.
   */
  static async start(places: Readonly<Record<string, number>>, port = 0): Promise<ConnectProxy> {
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    return new ConnectProxy(server, places);
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  #pass(client: Socket, port: number): void {
    const server = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.#keep(server);
    server.once('connect', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      client.pipe(server).pipe(client);
    });
    server.once('close', () => client.destroy());
    client.once('close', () => server.destroy());
  }
}
