import type { NatsConnection } from '@nats-io/transport-node';

/** Whether NATS is connected, and work that depends on it. The client itself connects again. */
export class ConnectionState {
  readonly #onChange: (isConnected: boolean) => void;
  readonly #onDisconnect = new Set<() => void>();
  #waiting: { readonly done: () => void; readonly fail: (error: Error) => void }[] = [];
  #isConnected = true;
  #reconnects = 0;
  #stopped = false;

  constructor(nc: Pick<NatsConnection, 'status'>, onChange: (isConnected: boolean) => void) {
    this.#onChange = onChange;
    void this.#follow(nc);
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** How often the connection was made again. */
  get reconnects(): number {
    return this.#reconnects;
  }

  /** Resolves when NATS is connected. Rejects when the realm ends. */
  connected(): Promise<void> {
    if (this.#stopped) return Promise.reject(new Error('the realm ends'));
    if (this.#isConnected) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ done: resolve, fail: reject }));
  }

  /** Rejects when NATS is not connected, or is disconnected before the work has ended. */
  async whileConnected<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#isConnected) throw new Error('the bus is not connected');
    let leave: () => void = () => undefined;
    const lost = new Promise<never>((_resolve, reject) => {
      leave = () => reject(new Error('the bus was disconnected'));
    });
    this.#onDisconnect.add(leave);
    try {
      return await Promise.race([work(), lost]);
    } finally {
      this.#onDisconnect.delete(leave);
    }
  }

  /** Ends what waits. */
  stop(): void {
    this.#stopped = true;
    for (const { fail } of this.#waiting.splice(0)) fail(new Error('the realm ends'));
  }

  async #follow(nc: Pick<NatsConnection, 'status'>): Promise<void> {
    for await (const { type } of nc.status()) {
      if (type !== 'disconnect' && type !== 'reconnect') continue;
      this.#isConnected = type === 'reconnect';
      if (this.#isConnected) this.#reconnects += 1;
      if (this.#isConnected) for (const { done } of this.#waiting.splice(0)) done();
      else for (const leave of this.#onDisconnect) leave();
      this.#onChange(this.#isConnected);
    }
  }
}
