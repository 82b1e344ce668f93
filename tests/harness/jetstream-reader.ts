import { connect, type NatsConnection } from '@nats-io/transport-node';

/** A message of a stream. */
export interface StoredMessage {
  readonly subject: string;
  readonly data: Buffer;
}

/** Reads a stream of a `nats-server` of a test, as user `reader`. */
export class JetStreamReader {
  readonly #nc: NatsConnection;
  readonly #stream: string;
  readonly #messages: StoredMessage[] = [];

  private constructor(nc: NatsConnection, stream: string) {
    this.#nc = nc;
    this.#stream = stream;
  }

  static async connect(port: number, stream: string): Promise<JetStreamReader> {
    const nc = await connect({
      servers: `127.0.0.1:${port}`,
      user: 'reader',
      pass: 'reader',
      maxReconnectAttempts: -1,
      reconnectTimeWait: 100,
    });
    return new JetStreamReader(nc, stream);
  }

  /** All messages; while the server is away, those that were read before. */
  async messages(): Promise<readonly StoredMessage[]> {
    for (;;) {
      const sequence = this.#messages.length + 1;
      const request = JSON.stringify({ seq: sequence });
      const answer = await this.#nc
        .request(`$JS.API.STREAM.MSG.GET.${this.#stream}`, request, { timeout: 1_000 })
        .catch(() => undefined);
      const { message } = answer?.json<{ message?: { subject: string; data: string } }>() ?? {};
      if (message === undefined) return this.#messages;
      this.#messages.push({ subject: message.subject, data: Buffer.from(message.data, 'base64') });
    }
  }

  /** The lines of all messages. */
  async lines(): Promise<readonly string[]> {
    const messages = await this.messages();
    return messages.flatMap(({ data }) => data.toString('latin1').split('\n').slice(0, -1));
  }

  async close(): Promise<void> {
    await this.#nc.close();
  }
}
