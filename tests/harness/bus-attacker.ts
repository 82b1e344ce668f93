import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, headers, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node';
import type { ClientCertificate } from './authority.js';
import type { NatsServer } from './nats-server.js';

type Fields = Readonly<Record<string, unknown>>;

/** A client of NATS with the credentials of a replica. */
export class BusAttacker {
  readonly nc: NatsConnection;

  private constructor(nc: NatsConnection) {
    this.nc = nc;
  }

  static async connect(nats: NatsServer): Promise<BusAttacker> {
    const nc = await connect({
      servers: `127.0.0.1:${nats.port}`,
      authenticator: nkeyAuthenticator(Buffer.from(readFileSync(nats.nkey, 'utf8').trim())),
      inboxPrefix: '_INBOX_kata_realm',
    });
    return new BusAttacker(nc);
  }

  /** Publishes; resolves when the server has it. */
  async publish(subject: string, value: unknown, head: Readonly<Record<string, string>> = {}): Promise<void> {
    const own = headers();
    for (const [name, each] of Object.entries(head)) own.set(name, each);
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    this.nc.publish(subject, text, Object.keys(head).length === 0 ? {} : { headers: own });
    await this.nc.flush();
  }

  /** Writes a key of a bucket. */
  async put(bucket: 'live' | 'known' | 'revocations', key: string, value: unknown): Promise<void> {
    await this.publish(`$KV.kata-realm-${bucket}.${key}`, value);
  }

  /** Answers whatever is asked on a subject. */
  async answer(subject: string, answer: () => string): Promise<void> {
    this.nc.subscribe(subject, {
      callback: (error, message) => {
        if (error === null) message.respond(answer());
      },
    });
    await this.nc.flush();
  }

  /** Returns the replica that holds a guest, and its epoch. */
  async holderOf(guest: string): Promise<{ readonly replica: string; readonly epoch: number }> {
    const reply = await this.nc.request(
      '$JS.API.STREAM.MSG.GET.KV_kata-realm-live',
      JSON.stringify({ last_by_subj: `$KV.kata-realm-live.g.${guest}` }),
    );
    const { message } = reply.json<{ message: { data: string; seq: number } }>();
    const entry = JSON.parse(Buffer.from(message.data, 'base64').toString()) as {
      replica: string;
      epoch: number;
    };
    return { replica: entry.replica, epoch: entry.epoch === 0 ? message.seq : entry.epoch };
  }

  /** Asks the replica that holds a guest for a connection, with the certificate of an operator, whose key it has not. */
  async askConnect(guest: string, { cert }: ClientCertificate, pipe: string): Promise<Fields> {
    const { replica, epoch } = await this.holderOf(guest);
    const certificates = [new X509Certificate(cert).raw.toString('base64')];
    const asked = { kind: 'connect', guest, epoch, certificates, from: 'aa'.repeat(16), pipe };
    const reply = await this.nc.request(`kata.realm.replica.${replica}`, JSON.stringify(asked));
    return reply.json<Fields>();
  }

  async close(): Promise<void> {
    await this.nc.close();
  }
}
