import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Transform } from 'node:stream';

/** A load balancer: passes each connection on to the first of its ports that accepts it, beginning with the next one. */
export class TcpBalancer {
  /** Tried in this order; `rotate` begins each time with the next one. */
  targets: readonly number[] = [];
  rotate = true;
  /** Bytes of clients are passed on so much later, in ms. */
  delayMs = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #next = 0;

  private constructor() {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const { targets } = this;
      const begin = this.rotate ? this.#next++ : 0;
      this.#pass(
        socket,
        targets.map((_, index) => targets[(begin + index) % targets.length] ?? 0),
      );
    });
  }

  static async start(): Promise<TcpBalancer> {
    const balancer = new TcpBalancer();
    balancer.#server.listen(0, '127.0.0.1');
    await once(balancer.#server, 'listening');
    return balancer;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #pass(socket: Socket, [port, ...others]: readonly number[]): void {
    socket.on('error', () => undefined);
    if (port === undefined) return void socket.destroy();
    const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    far.once('error', () => {
      if (far.connecting || !this.#sockets.has(far)) this.#pass(socket, others);
    });
    far.once('connect', () => {
      for (const [one, other] of [
        [socket, far],
        [far, socket],
      ] as const) {
        this.#sockets.add(one);
        one.on('error', () => undefined);
        if (one === socket && this.delayMs > 0) one.pipe(later(this.delayMs)).pipe(other);
        else one.pipe(other);
        one.once('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
      }
    });
  }
}

function later(ms: number): Transform {
  return new Transform({
    transform(chunk, _encoding, done) {
      setTimeout(() => this.push(chunk), ms);
      done();
    },
    flush: (done) => void setTimeout(done, ms),
  });
}
