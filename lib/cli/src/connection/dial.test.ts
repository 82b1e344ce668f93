import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { listenUnix, loadSyscalls } from '@kata-agent/linux';
import { CommandError } from '../command/command-error.js';
import { ExitCode } from '../command/exit-code.js';
import { dial } from './dial.js';

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
