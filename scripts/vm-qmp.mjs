// QEMU's machine protocol: what a host does to a machine that runs, such as plugging a disk.
// https://www.qemu.org/docs/master/interop/qmp-spec.html
import { EventEmitter, once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

/** One connection. An event of QEMU's is emitted under its own name, `DEVICE_DELETED`, with its data. */
export class Qmp extends EventEmitter {
  #socket;
  #calls = new Map();
  #id = 0;

  /** Connects to the socket that QEMU listens on, and agrees on the protocol. */
  static async open(path) {
    const socket = connect(path);
    await once(socket, 'connect');
    const qmp = new Qmp(socket);
    await qmp.execute('qmp_capabilities');
    return qmp;
  }

  constructor(socket) {
    super();
    this.#socket = socket;
    createInterface({ input: socket })
      .on('line', (line) => this.#take(JSON.parse(line)))
      // An error of the socket, which the interface passes on: `close` follows.
      .on('error', () => undefined);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      for (const { reject, name } of this.#calls.values())
        reject(new Error(`${name}: QEMU closed the connection`));
      this.#calls.clear();
    });
  }

  /** Resolves with what the command returns. */
  execute(name, args = {}) {
    const id = ++this.#id;
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error(`${name}: QEMU closed the connection`));
      this.#calls.set(id, { name, resolve, reject });
      this.#socket.write(`${JSON.stringify({ execute: name, arguments: args, id })}\n`);
    });
  }

  /** Takes a device out. Resolves when the guest has let go of it: QEMU asks, and the guest's kernel agrees. */
  async unplug(id) {
    const gone = new Promise((resolve) => {
      const look = ({ device }) => {
        if (device !== id) return;
        this.off('DEVICE_DELETED', look);
        resolve();
      };
      this.on('DEVICE_DELETED', look);
    });
    await this.execute('device_del', { id });
    await gone;
  }

  close() {
    this.#socket.destroy();
  }

  #take(message) {
    if (message.event !== undefined) {
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
