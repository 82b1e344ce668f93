import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Socket } from '../syscalls/constants.js';
import { Descriptor } from '../fs/descriptor.js';
import { listenEventfd, loadSyscalls, RecordingSyscalls, type Syscalls } from '../index.js';
import { listenOn, streamOn } from './socket-exchange.js';
import { listenUevents } from './kernel-events.js';

// Keeps Node.js alive: the sockets under test may not, and leftovers must still be counted.
const alive = setInterval(() => undefined, 60_000);
after(() => clearInterval(alive));

const kernel = loadSyscalls();

interface User {
  /** The calls that the exchange makes. */
  readonly calls: readonly (keyof Syscalls)[];
  readonly use: (syscalls: Syscalls) => unknown;
}

/** Every use of the descriptor exchange. */
const users: Readonly<Record<string, User>> = {
  'a stream': {
    calls: ['socketpair', 'dup3'],
    use: (syscalls) => {
      const descriptor = new Descriptor(kernel, kernel.eventfd());
      try {
        return streamOn(syscalls, descriptor);
      } finally {
        descriptor.close();
      }
    },
  },
  'a server': {
    calls: ['socket', 'bind', 'listen', 'dup3'],
    use: async (syscalls) => {
      const listener = new Descriptor(kernel, kernel.socket(Socket.Unix, Socket.Stream, 0));
      try {
        kernel.bind(listener.fd, Buffer.from([Socket.Unix, 0]), 'a test');
        await listenOn(syscalls, createServer(), listener, 1);
      } finally {
        listener.close();
      }
    },
  },
  'an eventfd': {
    calls: ['eventfd', 'socketpair', 'dup3'],
    use: (syscalls) =>
      listenEventfd(
        syscalls,
        () => undefined,
        () => undefined,
      ),
  },
  'device events of the kernel': {
    calls: ['socket', 'bind', 'socketpair', 'dup3'],
    use: (syscalls) =>
      listenUevents(syscalls, { event: () => undefined, lost: () => undefined, fault: () => undefined }),
  },
};

describe('an exchange that fails leaks no descriptor', () => {
  for (const [name, { calls, use }] of Object.entries(users))
    for (const call of calls)
      it(`${name} without ${call}`, async () => {
        const before = readdirSync('/proc/self/fd');
        const syscalls = new RecordingSyscalls({}, kernel);
        syscalls.fail(call, 'EMFILE');
        await assert.rejects(async () => use(syscalls), { code: 'EMFILE' });
        for (let turns = 0; turns < 5; turns += 1) await turn();
        assert.deepEqual(readdirSync('/proc/self/fd'), before);
      });
});
