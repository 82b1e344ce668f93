// The program of a host that shares a directory through FUSE, for tests: it answers on request. Arguments: the mount point, a
// file whose content `disk` has. Its parent sends the messages `hold` and `answer`.
import { closeSync, fstatSync, openSync, read, readSync, writeSync } from 'node:fs';
import { loadSyscalls } from '@kata-agent/linux';

/** Requests of FUSE (linux/fuse.h). */
const Opcode = {
  Lookup: 1,
  Forget: 2,
  GetAttributes: 3,
  Open: 14,
  Read: 15,
  Write: 16,
  FileSystem: 17,
  Release: 18,
  Flush: 25,
  Init: 26,
  OpenDirectory: 27,
  ReadDirectory: 28,
  ReleaseDirectory: 29,
  Access: 34,
  Interrupt: 36,
  Destroy: 38,
  ForgetMany: 42,
} as const;

/** Size of struct fuse_write_in, which the data follow. */
const writeHeader = 40;

const [, , mountPoint = '', content = ''] = process.argv;
const disk = openSync(content, 'r+');
const syscalls = loadSyscalls();
const device = syscalls.openat(-100, '/dev/fuse', 2);
syscalls.mount(
  'host-share',
  mountPoint,
  'fuse',
  0,
  `fd=${device},rootmode=40000,user_id=0,group_id=0,allow_other`,
);

/** Names by node; the root has 1. */
const nodes: string[] = ['', ''];
let holds = false;
const held: (() => void)[] = [];

process.on('message', (message) => {
  holds = message === 'hold';
  if (!holds) for (const answer of held.splice(0)) answer();
  process.send?.('told');
});
process.on('disconnect', () => process.exit());

function serve(): void {
  const request = Buffer.alloc(256 * 1024);
  // Asynchronous: another thread waits for the request.
  read(device, request, 0, request.length, null, (error, length) => {
    if (error !== null) {
      closeSync(device);
      // ENODEV: it was unmounted.
      process.exit(error.code === 'ENODEV' ? 0 : 1);
    }
    handle(Buffer.from(request.subarray(0, length)));
    serve();
  });
}

function handle(request: Buffer): void {
  const opcode = request.readUInt32LE(4);
  const unique = request.readBigUInt64LE(8);
  const node = Number(request.readBigUInt64LE(16));
  const body = request.subarray(40);
  const reply = (data: Buffer, error = 0): void => {
    const header = Buffer.alloc(16);
    header.writeUInt32LE(16 + data.length, 0);
    header.writeInt32LE(-error, 4);
    header.writeBigUInt64LE(unique, 8);
    try {
      writeSync(device, Buffer.concat([header, data]));
    } catch {
      // The request was interrupted: nobody waits for the answer.
    }
  };
  const empty = Buffer.alloc(0);
  /** Answers at once, or on request. */
  const mayHold = (answer: () => void): void => {
    if (holds) held.push(answer);
    else answer();
  };
  switch (opcode) {
    case Opcode.Init:
      reply(initialized());
      return;
    case Opcode.Lookup: {
      const name = body.subarray(0, body.indexOf(0)).toString();
      const answer = (): void => reply(entry(name));
      if (name.startsWith('hangs')) mayHold(answer);
      else answer();
      return;
    }
    case Opcode.GetAttributes:
      reply(Buffer.concat([validFor(0), Buffer.alloc(4), attributes(node)]));
      return;
    case Opcode.Open:
    case Opcode.OpenDirectory: {
      const answer = (): void => reply(Buffer.alloc(16));
      if (nodes[node]?.startsWith('hangs') === true) mayHold(answer);
      else answer();
      return;
    }
    case Opcode.Read: {
      const offset = Number(body.readBigUInt64LE(8));
      const data = Buffer.alloc(body.readUInt32LE(16));
      mayHold(() => reply(data.subarray(0, readSync(disk, data, 0, data.length, offset))));
      return;
    }
    case Opcode.Write: {
      const offset = Number(body.readBigUInt64LE(8));
      const written = Buffer.alloc(8);
      written.writeUInt32LE(writeSync(disk, body, writeHeader, body.readUInt32LE(16), offset), 0);
      reply(written);
      return;
    }
    case Opcode.FileSystem:
      reply(Buffer.alloc(80));
      return;
    case Opcode.ReadDirectory:
    case Opcode.Release:
    case Opcode.ReleaseDirectory:
    case Opcode.Flush:
    case Opcode.Access:
    case Opcode.Destroy:
      reply(empty);
      return;
    case Opcode.Forget:
    case Opcode.ForgetMany:
    case Opcode.Interrupt:
      return;
    default:
      reply(empty, 38); // ENOSYS
  }
}

/** struct fuse_init_out */
function initialized(): Buffer {
  const out = Buffer.alloc(64);
  out.writeUInt32LE(7, 0);
  out.writeUInt32LE(31, 4);
  out.writeUInt32LE(64 * 1024, 8);
  out.writeUInt16LE(12, 16);
  out.writeUInt16LE(12, 18);
  out.writeUInt32LE(64 * 1024, 20);
  out.writeUInt32LE(1, 24);
  return out;
}

/** A time of validity: seconds, nanoseconds. Nothing is cached. */
function validFor(seconds: number): Buffer {
  const out = Buffer.alloc(12);
  out.writeBigUInt64LE(BigInt(seconds), 0);
  return out;
}

/** struct fuse_entry_out */
function entry(name: string): Buffer {
  const out = Buffer.alloc(40);
  out.writeBigUInt64LE(BigInt(nodes.push(name) - 1), 0);
  return Buffer.concat([out, attributes(nodes.length - 1)]);
}

/** struct fuse_attr: all are directories but those called `disk`. */
function attributes(node: number): Buffer {
  const isFile = nodes[node]?.endsWith('disk') === true;
  const out = Buffer.alloc(88);
  out.writeBigUInt64LE(BigInt(node), 0);
  out.writeBigUInt64LE(BigInt(isFile ? fstatSync(disk).size : 0), 8);
  out.writeUInt32LE(isFile ? 0o100600 : 0o040755, 60);
  out.writeUInt32LE(isFile ? 1 : 2, 64);
  out.writeUInt32LE(4096, 80);
  return out;
}

serve();
process.send?.('ready');
