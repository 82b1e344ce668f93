// QEMU's machine protocol (QMP), which controls a running machine, for example to plug a disk.
// https://www.qemu.org/docs/master/interop/qmp-spec.html
import { EventEmitter, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { defaultLimits, type Limits } from './limits.js';

/** A line from QEMU: an event, or the response to a command. */
interface Message {
  readonly event?: string;
  readonly data?: EventData;
  readonly id?: number;
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

interface EventData {
  /** The id of the device of the event. */
  readonly device?: string;
}

/** A command without a response yet. */
interface Call {
  readonly name: string;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A QMP connection. Emits QEMU's events under their names, such as `DEVICE_DELETED`, with their data. */
export class Qmp extends EventEmitter {
  readonly #socket: Socket;
  readonly #limits: Limits;
  readonly #calls = new Map<number, Call>();
  /** Settles the unplug of a device, by its id: true if the guest released it, false if the connection closed. */
  readonly #unplugs = new Map<string, (isReleased: boolean) => void>();
  #id = 0;

  /** Connects to QEMU's socket and negotiates capabilities. */
  static async open(path: string, limits?: Partial<Limits>): Promise<Qmp> {
    const socket = connect(path);
    await once(socket, 'connect');
    const qmp = new Qmp(socket, limits);
    await qmp.execute('qmp_capabilities');
    return qmp;
  }

  constructor(socket: Socket, limits: Partial<Limits> = {}) {
    super();
    this.#socket = socket;
    this.#limits = { ...defaultLimits, ...limits };
    createInterface({ input: socket })
      .on('line', (line) => this.#handle(JSON.parse(line)))
      // The interface repeats an error of the socket; `close` follows it.
      .on('error', () => undefined);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      for (const { reject, name } of this.#calls.values())
        reject(new Error(`${name}: QEMU closed the connection`));
      this.#calls.clear();
      for (const settle of this.#unplugs.values()) settle(false);
    });
  }

  /** Runs a command. Resolves with its result; rejects on an error and if QEMU does not respond. */
  execute(name: string, args: object = {}): Promise<unknown> {
    const id = ++this.#id;
    return this.#within(
      this.#limits.answer,
      name,
      'QEMU did not respond',
      new Promise((resolve, reject) => {
        if (this.#socket.destroyed) {
          reject(new Error(`${name}: QEMU closed the connection`));
          return;
        }
        this.#calls.set(id, { name, resolve, reject });
        this.#socket.write(`${JSON.stringify({ execute: name, arguments: args, id })}\n`);
      }),
    );
  }

  /** Unplugs a device. Resolves when the guest's kernel has released it. */
  async unplug(id: string): Promise<void> {
    const what = `unplugging ${id}`;
    const released = new Promise<boolean>((resolve) => this.#unplugs.set(id, resolve));
    try {
      await this.execute('device_del', { id });
      const isReleased = await this.#within(
        this.#limits.unplug,
        what,
        'the guest did not release the device',
        released,
      );
      if (!isReleased) throw new Error(`${what}: QEMU closed the connection`);
    } finally {
      this.#unplugs.delete(id);
    }
  }

  /** Whether the connection is closed. */
  get closed(): boolean {
    return this.#socket.destroyed;
  }

  /** Closes the connection. */
  close(): void {
    this.#socket.destroy();
  }

  /** Rejects if `promise` does not settle within `seconds`. `what` is the operation, for the error. */
  async #within<Result>(
    seconds: number,
    what: string,
    problem: string,
    promise: Promise<Result>,
  ): Promise<Result> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${what}: ${problem} within ${seconds} s`)), seconds * 1000);
    });
    try {
      return await Promise.race([promise, timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  #handle(message: Message): void {
    if (message.event !== undefined) {
      if (message.event === 'DEVICE_DELETED') this.#unplugs.get(message.data?.device ?? '')?.(true);
      this.emit(message.event, message.data);
      return;
    }
    if (message.id === undefined) return; // The greeting.
    const call = this.#calls.get(message.id);
    if (call === undefined) return;
    this.#calls.delete(message.id);
    if (message.error === undefined) call.resolve(message.return);
    else call.reject(new Error(`${call.name}: ${message.error.desc}`));
  }
}
