// A misbehaving peer, in a separate process: `node hostile-peer.js CASE SOCKET`. It runs until it is killed.
import { connect, type Socket } from 'node:net';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

const megabyte = 1 << 20;

function frame(streamId: number, type: number, body: Uint8Array, declared = body.length): Buffer {
  const header = Buffer.alloc(10);
  header.writeUInt32BE(declared, 0);
  header.writeUInt32BE(streamId, 4);
  header.writeUInt8(type, 8);
  return Buffer.concat([header, body]);
}

function lengthDelimited(tag: number, value: Uint8Array): Buffer {
  const length: number[] = [];
  let rest = value.length;
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([tag, ...length, rest]), value]);
}

function request(streamId: number, method: string, payload: Uint8Array): Buffer {
  const text = (tag: number, value: string) => lengthDelimited(tag, Buffer.from(value));
  const body = [text(0x0a, 'grpc.AgentService'), text(0x12, method), lengthDelimited(0x1a, payload)];
  return frame(streamId, 1, Buffer.concat(body));
}

/** Resolves at the first of two events, and then removes its listeners. */
function either(socket: Socket, first: string, second: string): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off(first, done).off(second, done);
      resolve();
    };
    socket.on(first, done).on(second, done);
  });
}

async function peer(address: string): Promise<Socket> {
  const socket = connect(address);
  socket.on('error', () => socket.destroy());
  await either(socket, 'connect', 'close');
  return socket;
}

async function write(socket: Socket, bytes: Uint8Array): Promise<void> {
  if (!socket.destroyed && !socket.write(bytes)) await either(socket, 'drain', 'close');
}

/** Repeatedly opens a connection and writes the same bytes. */
const repeat = (bytes: () => Uint8Array) => async (address: string) => {
  for (;;) {
    const socket = await peer(address);
    socket.resume();
    await write(socket, bytes());
    await delay(2);
    socket.destroy();
  }
};

const bomb = Buffer.alloc(4 * megabyte - 100, Buffer.from([0x2a, 0x00]));

const cases: Readonly<Record<string, (address: string) => Promise<void>>> = {
  bomb: async (address) => {
    const socket = await peer(address);
    socket.resume();
    for (let id = 1; ; id += 2) await write(socket, request(id, 'CreateContainer', bomb));
  },
  'declared-2GiB': repeat(() => frame(1, 1, Buffer.alloc(0), 0x7fff_ffff)),
  'even-id': repeat(() => request(2, 'GetGuestDetails', Buffer.alloc(0))),
  'repeated-id': repeat(() =>
    Buffer.concat([1, 1].map((id) => request(id, 'GetGuestDetails', Buffer.alloc(0)))),
  ),
  'never-opened-id': repeat(() => frame(9, 3, Buffer.from('x'))),
  'unknown-type': repeat(() => frame(1, 99, Buffer.from('x'))),
  'random-bytes': repeat(() => randomBytes(65_536)),
  'byte-a-second': async (address) => {
    const bytes = request(1, 'GetGuestDetails', Buffer.alloc(0));
    const sockets = await Promise.all(Array.from({ length: 32 }, () => peer(address)));
    for (let sent = 0; ; sent += 1) {
      for (const socket of sockets) await write(socket, bytes.subarray(sent, sent + 1));
      await delay(1_000);
    }
  },
  '1000-connections': async (address) => {
    for (;;) {
      const sockets = await Promise.all(Array.from({ length: 1_000 }, () => peer(address)));
      for (const socket of sockets) socket.destroy();
    }
  },
  'never-reads': async (address) => {
    const socket = await peer(address);
    socket.pause();
    for (let id = 1; ; id += 2) await write(socket, request(id, 'GetGuestDetails', Buffer.alloc(0)));
  },
};

const [, , name = '', address = ''] = process.argv;
const attack = cases[name];
if (attack === undefined) throw new Error(`no case ${name}; known are ${Object.keys(cases).join(', ')}`);
await attack(address);
