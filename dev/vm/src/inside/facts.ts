// Runs in a developer's guest: measures vsock sockets under Node.js, compared with unix sockets. Prints one
// JSON object.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { connectUnix, connectVsock, listenUnix, listenVsock, loadSyscalls } from '@kata-agent/linux';
import { codeOf } from '@kata-agent/tool-command/command-line';

/** The results. Durations are in milliseconds unless stated otherwise. */
export interface VsockFacts {
  /** Whether an echo of 10 MiB returns unchanged. */
  readonly intact: boolean;
  /** The error code of listening on a port that is in use. */
  readonly taken: string;
  /** Whether the server detects that a client was killed. */
  readonly vanished: boolean;
  /** Connections made one after another. */
  readonly inTurn: { readonly count: number; readonly seconds: number };
  /** The server does not read. */
  readonly reader: Stalled;
  /** The client does not read. */
  readonly writer: Stalled;
  /** The median time of an echo of 100 bytes, and of 32 KiB. */
  readonly echo100: ByKind;
  readonly echo32K: ByKind;
  /** In MB/s. */
  readonly bulk: ByKind;
  /** The error code of connecting to a port without a listener. */
  readonly refused: string;
}

/** A connection of which one side does not read: bytes by which the server's memory grew, and bytes written. */
export interface Stalled {
  readonly growth: number;
  readonly sent: number;
}

/** A value over vsock, and over a unix socket. */
export interface ByKind {
  readonly vsock: number;
  readonly unix: number;
}

/** The server's memory in bytes, the killed clients it detected, and the bytes it wrote in the last flood. */
interface ServerState {
  readonly rss: number;
  readonly vanished: number;
  readonly written: number;
}

const syscalls = loadSyscalls();
const port = 5000;
const address = { cid: 1, port };
const path = '/run/vm-facts.sock';
const gibibyte = 2 ** 30;

if (process.argv[2] === 'serve') await serve();
else if (process.argv[2] === 'vanish') await vanish();
else console.log(JSON.stringify(await measure()));

/** Serves connections; the first byte of each selects what the server does. */
async function serve(): Promise<void> {
  const state = { vanished: 0, written: 0 };
  const take = (stream: Duplex): void => {
    stream.on('error', () => undefined);
    stream.once('data', (first: Buffer) => {
      const rest = first.subarray(1);
      actions[String.fromCharCode(first[0] ?? 0)]?.(stream, rest);
    });
  };
  const echo = (stream: Duplex, rest: Buffer): void => {
    stream.write(rest);
    stream.pipe(stream);
  };
  const stop = (stream: Duplex): void => void stream.pause();
  const watch = (stream: Duplex): void => {
    const onEnd = (): void => {
      state.vanished += 1;
      stream.destroy();
    };
    stream.once('end', onEnd).resume();
  };
  const memory = (stream: Duplex): void =>
    void stream.end(JSON.stringify({ rss: process.memoryUsage().rss, ...state }));
  const flood = (stream: Duplex): void => {
    const chunk = Buffer.alloc(1 << 20);
    state.written = 0;
    const more = (): void => {
      while (state.written < gibibyte && !stream.destroyed) {
        state.written += chunk.length;
        if (!stream.write(chunk)) return;
      }
    };
    stream.on('drain', more);
    more();
  };
  const actions: Readonly<Record<string, (stream: Duplex, rest: Buffer) => void>> = {
    E: echo,
    S: stop,
    W: flood,
    V: watch,
    M: memory,
  };
  await listenVsock(syscalls, createServer({ allowHalfOpen: true }, take), { cid: 0xffff_ffff, port });
  await listenUnix(syscalls, createServer({ allowHalfOpen: true }, take), { kind: 'path', path });
  console.log('serving');
}

/** Connects and writes until its parent kills it. */
async function vanish(): Promise<never> {
  const stream = await open('vsock', 'V');
  console.log('connected');
  for (;;) if (!stream.write(Buffer.alloc(1 << 16))) await once(stream, 'drain');
}

async function open(kind: keyof ByKind, command: string): Promise<Duplex> {
  const stream =
    kind === 'vsock'
      ? await connectVsock(syscalls, address)
      : await connectUnix(syscalls, { kind: 'path', path });
  stream.on('error', () => undefined);
  stream.write(command);
  return stream;
}

async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function serverState(): Promise<ServerState> {
  return JSON.parse(String(await readAll(await open('unix', 'M'))));
}

/** Starts this program in another process. */
function spawnSelf(task: 'serve' | 'vanish'): ChildProcessByStdio<null, Readable, null> {
  const [, program = ''] = process.argv;
  return spawn(process.execPath, [program, task], { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function measure(): Promise<VsockFacts> {
  const child = spawnSelf('serve');
  await once(child.stdout, 'data');
  try {
    return {
      intact: await echoIsIntact(),
      taken: await listenOnUsedPort(),
      vanished: await detectsKilledClient(),
      inTurn: await connectInTurn(1000),
      reader: await stallReader(),
      writer: await stallWriter(),
      echo100: { vsock: await echoTime('vsock', 100), unix: await echoTime('unix', 100) },
      echo32K: { vsock: await echoTime('vsock', 32_768), unix: await echoTime('unix', 32_768) },
      bulk: { vsock: await throughput('vsock'), unix: await throughput('unix') },
      refused: await connectToUnusedPort(),
    };
  } finally {
    child.kill('SIGKILL');
  }
}

/** Sends 10 MiB and ends; the server's end follows ours (half-close). */
async function echoIsIntact(): Promise<boolean> {
  const payload = Buffer.alloc(10 << 20);
  for (let at = 0; at < payload.length; at += 4) payload.writeUInt32LE((at * 2_654_435_761) % 2 ** 32, at);
  const stream = await open('vsock', 'E');
  stream.end(payload);
  const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
  return digest(await readAll(stream)) === digest(payload);
}

async function listenOnUsedPort(): Promise<string> {
  return listenVsock(syscalls, createServer(), address).then(
    () => 'listening',
    (error: unknown) => codeOf(error) ?? String(error),
  );
}

async function connectToUnusedPort(): Promise<string> {
  return connectVsock(syscalls, { cid: 1, port: port + 1 }).then(
    () => 'connected',
    (error: unknown) => codeOf(error) ?? String(error),
  );
}

/** Reports whether the server detects that a client was killed while it was writing. */
async function detectsKilledClient(): Promise<boolean> {
  const child = spawnSelf('vanish');
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  for (let turn = 0; turn < 100; turn++) {
    if ((await serverState()).vanished === 1) return true;
    await pause(50);
  }
  return false;
}

async function connectInTurn(count: number): Promise<VsockFacts['inTurn']> {
  const begin = performance.now();
  for (let index = 0; index < count; index++) {
    const stream = await open('vsock', 'E');
    stream.end(String(index));
    if (String(await readAll(stream)) !== String(index)) throw new Error(`connection ${index}`);
  }
  return { count, seconds: (performance.now() - begin) / 1000 };
}

/** Writes up to 1 GiB to a server that does not read. */
async function stallReader(): Promise<Stalled> {
  const before = (await serverState()).rss;
  const stream = await open('vsock', 'S');
  const chunk = Buffer.alloc(1 << 20);
  let sent = 0;
  for (;;) {
    sent += chunk.length;
    if (stream.write(chunk)) continue;
    const drained = await Promise.race([once(stream, 'drain').then(() => true), pause(1500, false)]);
    if (!drained || sent >= gibibyte) break;
  }
  const growth = (await serverState()).rss - before;
  stream.destroy();
  return { growth, sent };
}

/** Lets the server write up to 1 GiB, and does not read. */
async function stallWriter(): Promise<Stalled> {
  const before = (await serverState()).rss;
  const stream = await open('vsock', 'W');
  let last = -1;
  for (;;) {
    await pause(500);
    const { written } = await serverState();
    if (written === last) break;
    last = written;
  }
  const growth = (await serverState()).rss - before;
  stream.destroy();
  return { growth, sent: last };
}

/** Returns the median duration of 200 echoes, in milliseconds. */
async function echoTime(kind: keyof ByKind, size: number): Promise<number> {
  const stream = await open(kind, 'E');
  const payload = Buffer.alloc(size);
  const times: number[] = [];
  for (let turn = 0; turn < 200; turn++) {
    const begin = performance.now();
    stream.write(payload);
    for (let got = 0; got < size; ) {
      const [chunk]: Buffer[] = await once(stream, 'data');
      got += chunk?.length ?? 0;
    }
    times.push(performance.now() - begin);
  }
  stream.destroy();
  return times.sort((a, b) => a - b)[100] ?? Number.NaN;
}

/** Returns the throughput of reading 64 MiB from the server, in MB/s. */
async function throughput(kind: keyof ByKind): Promise<number> {
  const stream = await open(kind, 'W');
  const total = 64 << 20;
  const begin = performance.now();
  let got = 0;
  for await (const chunk of stream) {
    got += Buffer.byteLength(chunk);
    if (got >= total) break;
  }
  return got / 1000 / (performance.now() - begin);
}
