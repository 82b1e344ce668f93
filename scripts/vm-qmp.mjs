// QEMU's machine protocol: what a host does to a machine that runs, such as plugging a disk.
// https://www.qemu.org/docs/master/interop/qmp-spec.html
import { EventEmitter, once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { defaultLimits } from './vm-limits.mjs';

/** One connection. An event of QEMU's is emitted under its own name, `DEVICE_DELETED`, with its data. */
export class Qmp extends EventEmitter {
  #socket;
  #limits;
  #calls = new Map();
  /** By the device's id: takes whether it is gone. */
  #unplugs = new Map();
  #id = 0;

  /** Connects to the socket that QEMU listens on, and agrees on the protocol. */
  static async open(path, limits) {
    const socket = connect(path);
    await once(socket, 'connect');
    const qmp = new Qmp(socket, limits);
    await qmp.execute('qmp_capabilities');
    return qmp;
  }

  constructor(socket, limits = {}) {
    super();
    this.#socket = socket;
    this.#limits = { ...defaultLimits, ...limits };
    createInterface({ input: socket })
      .on('line', (line) => this.#take(JSON.parse(line)))
      // An error of the socket, which the interface passes on: `close` follows.
      .on('error', () => undefined);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      for (const { reject, name } of this.#calls.values())
        reject(new Error(`${name}: QEMU closed the connection`));
      this.#calls.clear();
      for (const settle of this.#unplugs.values()) settle(false);
    });
  }

  /** Resolves with what the command returns. Rejects when QEMU does not answer. */
  execute(name, args = {}) {
    const id = ++this.#id;
    return this.#within(
      this.#limits.answer,
      name,
      'QEMU does not answer',
      new Promise((resolve, reject) => {
        if (this.#socket.destroyed) return reject(new Error(`${name}: QEMU closed the connection`));
        this.#calls.set(id, { name, resolve, reject });
        this.#socket.write(`${JSON.stringify({ execute: name, arguments: args, id })}\n`);
      }),
    );
  }

  /** Takes a device out. Resolves when the guest has let go of it: QEMU asks, and the guest's kernel agrees. */
  async unplug(id) {
    const what = `unplugging ${id}`;
    const gone = new Promise((resolve) => this.#unplugs.set(id, resolve));
    try {
      await this.execute('device_del', { id });
      const isGone = await this.#within(this.#limits.unplug, what, 'the guest keeps the device', gone);
      if (!isGone) throw new Error(`${what}: QEMU closed the connection`);
    } finally {
      this.#unplugs.delete(id);
    }
  }

  /** Whether the connection has ended. */
  get closed() {
    return this.#socket.destroyed;
  }

  close() {
    this.#socket.destroy();
  }

  async #within(seconds, what, problem, promise) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${what}: ${problem}, in ${seconds} s`)), seconds * 1000);
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #take(message) {
    if (message.event !== undefined) {
      if (message.event === 'DEVICE_DELETED') this.#unplugs.get(message.data.device)?.(true);
      this.emit(message.event, message.data);
      return;
    }
    const call = this.#calls.get(message.id);
    if (call === undefined) return; // QEMU's greeting.
    this.#calls.delete(message.id);
    if (message.error === undefined) call.resolve(message.return);
    else call.reject(new Error(`${call.name}: ${message.error.desc}`));
  }
}
