// Runs inside a developer's guest: what vsock does there under Node, beside a unix socket. Prints one JSON object.
import { connectUnix, connectVsock, listenUnix, listenVsock, loadSyscalls } from '@kata-agent/linux';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const syscalls = loadSyscalls();
const port = 5000;
const address = { cid: 1, port };
const path = '/run/vm-facts.sock';
const gibibyte = 2 ** 30;

if (process.argv[2] === 'serve') await serve();
else if (process.argv[2] === 'vanish') await vanish();
else console.log(JSON.stringify(await facts()));

/** Says by its first byte what a connection shall do. */
async function serve() {
  const seen = { vanished: 0, written: 0 };
  const take = (stream) => {
    stream.on('error', () => undefined);
    stream.once('data', (first) => {
      const rest = first.subarray(1);
      const act = { E: echo, S: stop, W: flood, V: watch, M: memory }[String.fromCharCode(first[0])];
      act(stream, rest);
    });
  };
  const echo = (stream, rest) => {
    stream.write(rest);
    stream.pipe(stream);
  };
  const stop = (stream) => stream.pause();
  const watch = (stream) => {
    const gone = () => {
      seen.vanished += 1;
      stream.destroy();
    };
    stream.once('end', gone).resume();
  };
  const memory = (stream) => stream.end(JSON.stringify({ rss: process.memoryUsage().rss, ...seen }));
  const flood = (stream) => {
    const chunk = Buffer.alloc(1 << 20);
    seen.written = 0;
    const more = () => {
      while (seen.written < gibibyte && !stream.destroyed) {
        seen.written += chunk.length;
        if (!stream.write(chunk)) return;
      }
    };
    stream.on('drain', more);
    more();
  };
  await listenVsock(syscalls, createServer({ allowHalfOpen: true }, take), { cid: 0xffff_ffff, port });
  await listenUnix(syscalls, createServer({ allowHalfOpen: true }, take), { kind: 'path', path });
  console.log('serving');
}

/** Connects, sends for ever, and is killed by its parent. */
async function vanish() {
  const stream = await open('vsock', 'V');
  console.log('connected');
  for (;;) if (!stream.write(Buffer.alloc(1 << 16))) await once(stream, 'drain');
}

async function open(kind, command) {
  const stream =
    kind === 'vsock'
      ? await connectVsock(syscalls, address)
      : await connectUnix(syscalls, { kind: 'path', path });
  stream.on('error', () => undefined);
  stream.write(command);
  return stream;
}

async function all(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function server() {
  return JSON.parse(String(await all(await open('unix', 'M'))));
}

async function facts() {
  const child = spawn(process.execPath, [process.argv[1], 'serve'], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  try {
    return {
      intact: await intact(),
      taken: await taken(),
      vanished: await vanished(),
      inTurn: await inTurn(1000),
      reader: await stoppedReader(),
      writer: await stoppedWriter(),
      echo100: { vsock: await echoTime('vsock', 100), unix: await echoTime('unix', 100) },
      echo32K: { vsock: await echoTime('vsock', 32_768), unix: await echoTime('unix', 32_768) },
      bulk: { vsock: await bulk('vsock'), unix: await bulk('unix') },
      refused: await refused(),
    };
  } finally {
    child.kill('SIGKILL');
  }
}

/** 10 MiB each way and half-close: the echo ends because we did. */
async function intact() {
  const payload = Buffer.alloc(10 << 20);
  for (let at = 0; at < payload.length; at += 4) payload.writeUInt32LE((at * 2_654_435_761) % 2 ** 32, at);
  const stream = await open('vsock', 'E');
  stream.end(payload);
  const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
  return digest(await all(stream)) === digest(payload);
}

async function taken() {
  return listenVsock(syscalls, createServer(), address).then(
    () => 'not taken',
    (error) => error.code,
  );
}

async function refused() {
  return connectVsock(syscalls, { cid: 1, port: port + 1 }).then(
    () => 'connected',
    (error) => error.code,
  );
}

/** Whether the server sees the end of a client that is killed in the middle of its sending. */
async function vanished() {
  const child = spawn(process.execPath, [process.argv[1], 'vanish'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  for (let turn = 0; turn < 100; turn++) {
    if ((await server()).vanished === 1) return true;
    await pause(50);
  }
  return false;
}

async function inTurn(count) {
  const begin = performance.now();
  for (let index = 0; index < count; index++) {
    const stream = await open('vsock', 'E');
    stream.end(String(index));
    if (String(await all(stream)) !== String(index)) throw new Error(`connection ${index}`);
  }
  return { count, seconds: (performance.now() - begin) / 1000 };
}

/** The server stops reading; the client has a gibibyte to send. */
async function stoppedReader() {
  const before = (await server()).rss;
  const stream = await open('vsock', 'S');
  const chunk = Buffer.alloc(1 << 20);
  let sent = 0;
  for (;;) {
    sent += chunk.length;
    if (stream.write(chunk)) continue;
    const drained = await Promise.race([once(stream, 'drain').then(() => true), pause(1500, false)]);
    if (!drained || sent >= gibibyte) break;
  }
  const growth = (await server()).rss - before;
  stream.destroy();
  return { growth, sent };
}

/** The server has a gibibyte to send; the client does not read. */
async function stoppedWriter() {
  const before = (await server()).rss;
  const stream = await open('vsock', 'W');
  let last = -1;
  for (;;) {
    await pause(500);
    const { written } = await server();
    if (written === last) break;
    last = written;
  }
  const growth = (await server()).rss - before;
  stream.destroy();
  return { growth, sent: last };
}

/** Milliseconds of one echo, the median of many. */
async function echoTime(kind, size) {
  const stream = await open(kind, 'E');
  const payload = Buffer.alloc(size);
  const times = [];
  for (let turn = 0; turn < 200; turn++) {
    const begin = performance.now();
    stream.write(payload);
    for (let got = 0; got < size; ) got += (await once(stream, 'data'))[0].length;
    times.push(performance.now() - begin);
  }
  stream.destroy();
  return times.sort((a, b) => a - b)[100];
}

/** MB/s of 64 MiB from the server. */
async function bulk(kind) {
  const stream = await open(kind, 'W');
  const total = 64 << 20;
  const begin = performance.now();
  let got = 0;
  for await (const chunk of stream) {
    got += chunk.length;
    if (got >= total) break;
  }
  return got / 1000 / (performance.now() - begin);
}
