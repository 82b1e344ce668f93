import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { closeSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import { after, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { listenEventfd, loadSyscalls, RecordingSyscalls } from '../index.js';
import { listenUevents, parseUevent, type Uevent } from './kernel-events.js';

// Keeps Node.js alive, which the listener does not.
const alive = setInterval(() => undefined, 60_000);
after(() => clearInterval(alive));

const needsRoot = process.env['CI'] !== 'true' && process.getuid?.() !== 0 ? 'needs root' : false;

test('messages of the kernel are parsed, others ignored', () => {
  const text =
    'add@/devices/x/block/vda\0ACTION=add\0DEVPATH=/devices/x/block/vda\0SUBSYSTEM=block\0SEQNUM=7\0';
  assert.deepEqual(parseUevent(Buffer.from(text)), {
    action: 'add',
    devicePath: '/devices/x/block/vda',
    subsystem: 'block',
  });
  for (const other of ['', '\0', 'libudev\0x=y', 'add@/devices/x\0', 'add@/x\0ACTION=add\0', '=\0==='])
    assert.equal(parseUevent(Buffer.from(other)), undefined);
});

test('events of this kernel are received, and the listener leaks no descriptor', {
  skip: needsRoot,
}, async () => {
  const before = readdirSync('/proc/self/fd').length;
  const events = new EventEmitter();
  const listener = listenUevents(loadSyscalls(), {
    event: (event) => events.emit('event', event),
    lost: () => undefined,
    fault: (error) => events.emit('error', error),
  });
  // Triggers a synthetic uevent of an existing device.
  const next = once(events, 'event');
  writeFileSync('/sys/class/mem/null/uevent', 'change');
  const [event] = (await next) as [Uevent];
  assert.equal(event.action, 'change');
  assert.match(event.devicePath, /null$/);
  listener.close();
  for (let turns = 0; turns < 5; turns += 1) await turn();
  assert.equal(readdirSync('/proc/self/fd').length, before);
});

test('after a flood that is read or reported as lost, the listener continues', {
  skip: needsRoot,
}, async () => {
  const kernel = loadSyscalls();
  const all = new EventEmitter();
  let received = 0;
  let losses = 0;
  const listener = listenUevents(kernel, {
    event: ({ devicePath, action }) => {
      if (devicePath.endsWith('/zero')) received += 1;
      if (devicePath.endsWith('/full')) all.emit('last', action);
    },
    lost: () => {
      losses += 1;
    },
    fault: (error) => all.emit('error', error),
  });
  for (let count = 0; count < 5000; count += 1) writeFileSync('/sys/class/mem/zero/uevent', 'change');
  for (let turns = 0; turns < 100; turns += 1) await turn();
  const last = once(all, 'last');
  writeFileSync('/sys/class/mem/full/uevent', 'change');
  assert.deepEqual(await last, ['change']);
  assert.ok(losses > 0 || received === 5000, `${received} received, and no loss was reported`);
  listener.close();
});

test('a socket that cannot be opened leaks nothing', () => {
  const kernel = new RecordingSyscalls();
  kernel.fail('bind', 'EPERM');
  assert.throws(
    () => listenUevents(kernel, { event: () => undefined, lost: () => undefined, fault: () => undefined }),
    {
      code: 'EPERM',
    },
  );
  assert.equal(kernel.openDescriptors.size, 0);
});

test('each signal of an eventfd is reported, and no descriptor leaks', async (t) => {
  const alive = setInterval(() => undefined, 60_000);
  t.after(() => clearInterval(alive));
  const before = readdirSync('/proc/self/fd').length;
  const kernel = loadSyscalls();
  let ours = -1;
  let raised = (): void => undefined;
  const end = listenEventfd(
    kernel,
    (eventfd) => {
      ours = kernel.duplicate(eventfd);
    },
    () => raised(),
  );
  const one = Buffer.alloc(8);
  one.writeBigUInt64LE(1n);
  for (let round = 0; round < 3; round += 1) {
    const event = new Promise<void>((resolve) => {
      raised = resolve;
    });
    writeSync(ours, one);
    await event;
  }
  closeSync(ours);
  end();
  const isClosed = (): boolean => readdirSync('/proc/self/fd').length <= before;
  for (let turns = 0; turns < 1_000 && !isClosed(); turns += 1) await new Promise(setImmediate);
  // Node.js may close one of its own meanwhile.
  assert.ok(isClosed());
});

test('a failed registration leaks nothing', () => {
  const before = readdirSync('/proc/self/fd').length;
  const register = (): never => {
    throw new Error('no');
  };
  assert.throws(() => listenEventfd(loadSyscalls(), register, () => undefined), /no/);
  // Node.js may close one of its own meanwhile.
  assert.ok(readdirSync('/proc/self/fd').length <= before);
});
