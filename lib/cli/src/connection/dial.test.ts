import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { listenUnix, loadSyscalls } from '@kata-agent/linux';
import * as fc from 'fast-check';
import { CommandError, ExitCode } from '../command/command-error.js';
import { connectHvsock, dial } from './dial.js';

const longMs = 60_000;

/** Runs with a unix socket that `serve` answers on. */
async function listening(
  serve: (socket: Socket) => void,
  work: (path: string) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'kata-ctl-'));
  const path = join(directory, 'socket');
  const server: Server = createServer(serve);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  try {
    await work(path);
  } finally {
    await new Promise((resolve) => server.close(resolve));
    await rm(directory, { recursive: true });
  }
}

/** Collects received bytes through the events that ttRPC uses. */
function received(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.on('end', () => resolve(text));
  });
}

const cannotReach =
  (pattern: RegExp) =>
  (error: unknown): boolean =>
    error instanceof CommandError &&
    error.exitCode === ExitCode.CannotApply &&
    error.message.startsWith('cannot reach an agent at ') &&
    pattern.test(error.message);

test('a socket by its path', async () => {
  await listening(
    (socket) => socket.resume().end('hello'),
    async (path) => {
      const socket = await dial({ kind: 'path', path }, longMs);
      assert.equal(await received(socket), 'hello');
    },
  );
});

test('through a VMM: bytes in and after its reply arrive', async () => {
  await listening(
    (socket) => {
      socket.once('data', (chunk) => {
        assert.equal(chunk.toString(), 'CONNECT 1024\n');
        socket.write('OK 12345\nfirst ');
        setImmediate(() => socket.end('second'));
      });
    },
    async (path) => {
      const socket = await dial({ kind: 'hvsock', path, port: 1024 }, longMs);
      assert.equal(await received(socket), 'first second');
    },
  );
});

test('an abstract name is dialled with its exact length', async () => {
  const syscalls = loadSyscalls();
  const name = `kata-ctl-test-${process.pid}`;
  const server = createServer((socket) => socket.resume().end('hello'));
  await listenUnix(syscalls, server, { kind: 'abstract', name });
  try {
    const socket = await dial({ kind: 'abstract', name }, longMs);
    assert.equal(await received(socket), 'hello');
    socket.destroy();
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
  await assert.rejects(dial({ kind: 'abstract', name }, longMs), cannotReach(/unix:\/\/@.*ECONNREFUSED/));
});

test('no listener, and a VMM without a listening guest, are errors', async () => {
  await assert.rejects(dial({ kind: 'path', path: '/nonexistent/s' }, longMs), cannotReach(/ENOENT/));
  await listening(
    (socket) => socket.resume().end(),
    async (path) => {
      await assert.rejects(
        dial({ kind: 'hvsock', path, port: 7 }, longMs),
        cannotReach(/hvsock:.*:7: .*nothing listens on port 7/),
      );
    },
  );
});

test('a VMM that never replies times out, and its socket is closed', async () => {
  const closed: Promise<void>[] = [];
  await listening(
    (socket) => {
      socket.resume();
      closed.push(new Promise((resolve) => socket.on('close', () => resolve())));
    },
    async (path) => {
      await assert.rejects(
        dial({ kind: 'hvsock', path, port: 7 }, 30),
        cannotReach(/no answer within 30 ms/),
      );
      await Promise.all(closed);
    },
  );
});

test('the help for a missing socket depends on the address type', async () => {
  const helpOf = async (kind: 'path' | 'hvsock'): Promise<string> => {
    const path = '/nonexistent/s';
    const address = kind === 'path' ? ({ kind, path } as const) : ({ kind, path, port: 1024 } as const);
    const error = await dial(address, longMs).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof CommandError);
    return error.help.join(' ');
  };
  assert.match(await helpOf('path'), /is the agent running, and is this its server_addr\?/);
  assert.match(await helpOf('hvsock'), /is the VMM running, and is this the socket of its vsock device\?/);
});

/** The client's end of a socket: the test sends and reads bytes. */
class FakeSocket extends Duplex {
  written = '';
  override _read(): void {
    // The test pushes the input.
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written += chunk.toString('latin1');
    done();
  }
}

/** Collects all bytes that arrive from here on. */
async function readAll(stream: Duplex): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

test('sends CONNECT with the port and accepts OK', async () => {
  const socket = new FakeSocket();
  const ready = connectHvsock(socket, 1024);
  assert.equal(socket.written, 'CONNECT 1024\n');
  socket.push('OK 1073741824\n');
  await ready;
});

test('bytes after the reply line belong to ttRPC, whatever the chunk boundaries', async () => {
  const bytes = fc.uint8Array({ maxLength: 40 });
  const cuts = fc.array(fc.nat(60), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(bytes, cuts, async (payload, at) => {
      const whole = Buffer.concat([Buffer.from('OK 5\n'), payload]);
      const socket = new FakeSocket();
      const ready = connectHvsock(socket, 7);
      const edges = [0, ...at.filter((cut) => cut < whole.length).sort((a, b) => a - b), whole.length];
      for (const [index, from] of edges.slice(0, -1).entries()) {
        const part = whole.subarray(from, edges[index + 1]);
        if (part.length > 0) socket.push(part);
        await new Promise(setImmediate);
      }
      await ready;
      socket.push(null);
      assert.deepEqual(await readAll(socket), Buffer.from(payload));
    }),
    { numRuns: 50 },
  );
});

test('a VMM that closes the connection means that nothing listens', async () => {
  const socket = new FakeSocket();
  const ready = connectHvsock(socket, 1024);
  socket.push(null);
  await assert.rejects(ready, /nothing listens on port 1024/);
});

test('a reply other than OK is quoted', async () => {
  for (const [answer, pattern] of [
    ['FAIL\n', /got "FAIL"/],
    ['OK\n', /got "OK"/],
    ['OK 5 6\n', /got "OK 5 6"/],
    [`OK ${'9'.repeat(60)}`, /got "OK 9+"/],
    [`OK ${'9'.repeat(60)}\n`, /got "OK 9+"/],
  ] as const) {
    const socket = new FakeSocket();
    const ready = connectHvsock(socket, 1);
    socket.push(answer);
    await assert.rejects(ready, pattern, answer);
  }
});

test('a socket error is passed on', async () => {
  const socket = new FakeSocket();
  const ready = connectHvsock(socket, 1);
  socket.destroy(new Error('connection reset'));
  await assert.rejects(ready, /connection reset/);
});
