import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { makeOwnIdentity, type OwnIdentity } from '@kata-agent/agent/tls';
import { Health, HealthCheckResponse_ServingStatus } from '@kata-agent/protocol/health';
import { Management } from '@kata-agent/protocol/management';
import { Relay } from '@kata-agent/protocol/relay';
import { createServer, type ServiceImplementation, service } from '@kata-agent/ttrpc';

/** A key of a guest, with its certificate. */
export async function guestIdentity(): Promise<OwnIdentity> {
  return await makeOwnIdentity({ clockFloor: Date.UTC(2026, 0) });
}

export interface RawGuestOptions {
  readonly port: number;
  readonly identity: OwnIdentity;
  readonly management?: Partial<ServiceImplementation<typeof Management, null>>;
  readonly health?: Partial<ServiceImplementation<typeof Health, null>>;
  readonly relay?: Partial<ServiceImplementation<typeof Relay, null>>;
  readonly headers?: string;
  /** An address of this machine. */
  readonly localAddress?: string;
}

/** A client that dials a realm as a guest does, and answers as a test wants. */
export class RawGuest {
  readonly socket: TLSSocket;
  /** Resolves when the realm has closed the connection. */
  readonly closed: Promise<void>;

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  /** Connects with TLS, and sends nothing. */
  static async dial({
    port,
    identity,
    localAddress,
  }: Pick<RawGuestOptions, 'port' | 'identity' | 'localAddress'>): Promise<RawGuest> {
    const socket = connect({
      port,
      ...(localAddress === undefined ? {} : { localAddress }),
      host: '127.0.0.1',
      key: identity.key,
      cert: identity.certificate,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['http/1.1'],
    });
    socket.on('error', () => undefined);
    const guest = new RawGuest(socket);
    await Promise.race([once(socket, 'secureConnect'), guest.closed]);
    return guest;
  }

  /** Dials and serves; resolves when the realm has accepted the Upgrade. */
  static async serve(options: RawGuestOptions): Promise<RawGuest> {
    const guest = await RawGuest.dial(options);
    const { headers = 'Kata-Agent-Relay: operator-tls\r\n' } = options;
    const answer = await guest.upgrade('kata-agent-ttrpc/1', headers);
    if (!answer.startsWith('HTTP/1.1 101 ')) throw new Error(answer);
    const server = createServer<null>({
      services: [
        service<typeof Health, null>(Health, {
          check: async () => ({ status: HealthCheckResponse_ServingStatus.SERVING }),
          ...options.health,
        }),
        service<typeof Management, null>(Management, {
          describe: async () => ({
            version: '9.9',
            bootId: 'boot',
            configurationDigest: '1'.repeat(64),
          }),
          ...options.management,
        }),
        service<typeof Relay, null>(Relay, options.relay ?? {}),
      ],
    });
    void server.serve(guest.socket, null);
    return guest;
  }

  /** Sends the request of an Upgrade, and returns the head of the answer. What follows it remains to be read. */
  async upgrade(protocol: string, headers = '', path = '/guests'): Promise<string> {
    return await this.ask(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${headers}\r\n`,
    );
  }

  /** Sends bytes, and returns the head of the answer; an empty text if the realm closes the connection. */
  async ask(request: string): Promise<string> {
    this.socket.write(request, 'latin1');
    let text = '';
    for (;;) {
      const bytes = this.socket.read() as Buffer | null;
      if (bytes !== null) {
        text += bytes.toString('latin1');
        const end = text.indexOf('\r\n\r\n');
        if (end < 0) continue;
        const rest = text.slice(end + 4);
        if (rest !== '') this.socket.unshift(Buffer.from(rest, 'latin1'));
        // Otherwise the end of the connection is never seen.
        if (!text.startsWith('HTTP/1.1 101 ')) this.socket.resume();
        return text.slice(0, end);
      }
      if (this.socket.destroyed || this.socket.readableEnded) return text;
      await Promise.race([once(this.socket, 'readable'), once(this.socket, 'end'), this.closed]).catch(
        () => undefined,
      );
    }
  }
}

/** A token that no realm has given out. */
export function strangeToken(): string {
  return randomBytes(32).toString('hex');
}
