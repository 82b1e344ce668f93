import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import {
  loadSyscalls,
  MountFlag,
  Reboot,
  RecordingSyscalls,
  Socket,
  unixSocketAddress,
} from '@kata-agent/linux';
import {
  beFirstProcess,
  endOnPanic,
  type FirstProcess,
  imageHostname,
  powerOff,
  raiseLoopback,
} from './first-process.js';
import { guestMounts, mountGuest } from './guest-mounts.js';
import { loadModule, startLoadingModules, wantedModules } from './modules.js';
import { notifyReady } from './notify.js';

/** A first process that only records calls; `exit` triggers Node's exit event. */
function recorded(changes: Partial<FirstProcess> = {}): {
  readonly guest: FirstProcess;
  readonly syscalls: RecordingSyscalls;
  readonly order: string[];
  readonly exit: (code: number) => void;
} {
  const syscalls = new RecordingSyscalls();
  const order: string[] = [];
  let end: (code: number) => void = () => undefined;
  const guest: FirstProcess = {
    syscalls,
    isInitramfs: () => false,
    mountGuest: () => order.push('mounts'),
    hostname: () => 'of-the-image',
    endOnPanic: () => void order.push('panic'),
    loadModules: async () => void order.push('modules'),
    raiseLoopback: () => void order.push('loopback'),
    warn: (text) => order.push(`warning: ${text}`),
    onExit: (given) => {
      order.push('exit hook');
      end = given;
    },
    ...changes,
  };
  return { guest, syscalls, order, exit: (code) => end(code) };
}

describe('PID 1', () => {
  it('can power off before any other step, and mounts before it loads modules', async () => {
    const { guest, order } = recorded();
    await beFirstProcess(guest);
    assert.deepEqual(order, ['exit hook', 'mounts', 'panic', 'modules', 'loopback']);
  });

  it('powers off however the process ends', async () => {
    for (const code of [0, 1, 3]) {
      const { guest, syscalls, exit } = recorded();
      await beFirstProcess(guest);
      exit(code);
      assert.deepEqual(
        syscalls.calls.slice(-2).map(({ name }) => name),
        ['sync', 'reboot'],
      );
      assert.deepEqual(syscalls.argumentsOf('reboot'), [[Reboot.PowerOff]]);
    }
  });

  it('powers off when a mount fails', () => {
    const { guest, syscalls, exit } = recorded({
      mountGuest: () => {
        throw new Error('no /proc');
      },
    });
    assert.throws(() => beFirstProcess(guest), /no \/proc/);
    exit(1);
    assert.equal(syscalls.argumentsOf('reboot').length, 1);
  });

  it('reports missing parts and continues', async () => {
    const { guest, order } = recorded({
      loadModules: async () => 'no vsock',
      raiseLoopback: () => 'no lo',
    });
    await beFirstProcess(guest);
    assert.deepEqual(order.slice(-2), ['warning: no lo', 'warning: no vsock']);
  });

  it('is ready once modules are loaded, and does not block until then', async () => {
    let loaded: (complaint: undefined) => void = () => undefined;
    const { guest, order } = recorded({ loadModules: () => new Promise((resolve) => (loaded = resolve)) });
    const ready = beFirstProcess(guest).then(() => order.push('ready'));
    await setImmediate();
    assert.deepEqual(order, ['exit hook', 'mounts', 'panic', 'loopback']);
    loaded(undefined);
    await ready;
    assert.equal(order.at(-1), 'ready');
  });
});

it('the hostname is the first word of the image’s /etc/hostname, else localhost', async () => {
  const { guest, syscalls } = recorded();
  await beFirstProcess(guest);
  assert.deepEqual(syscalls.argumentsOf('sethostname'), [['of-the-image']]);
  const directory = mkdtempSync(join(tmpdir(), 'kata-hostname-'));
  try {
    const file = join(directory, 'hostname');
    assert.equal(imageHostname(file), 'localhost', 'there is no file');
    for (const [text, name] of [
      ['guest-1\n', 'guest-1'],
      ['guest-2 other\n', 'guest-2'],
      ['\n', 'localhost'],
      ['x'.repeat(65), 'localhost'],
    ] as const) {
      writeFileSync(file, text);
      assert.equal(imageHostname(file), name);
    }
    assert.equal(imageHostname(directory), 'localhost', 'a directory is there');
  } finally {
    rmSync(directory, { recursive: true });
  }
});

it('the loopback interface is set up, and keeps its other flags', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-loopback-'));
  try {
    const flags = join(directory, 'flags');
    writeFileSync(flags, '0x8\n');
    assert.equal(raiseLoopback(flags), undefined);
    assert.equal(readFileSync(flags, 'utf8'), '0x9\n');
    assert.match(raiseLoopback(join(directory, 'none', 'flags')) ?? '', /is down: ENOENT/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

describe('the mounts of a guest', () => {
  it('are ordered so that each mount point exists', () => {
    const syscalls = new RecordingSyscalls();
    mountGuest(syscalls, () => false);
    const targets = syscalls.argumentsOf('mount').map(([, target]) => String(target));
    assert.deepEqual(
      targets,
      guestMounts.map(({ target }) => target),
    );
    for (const [index, target] of targets.entries())
      assert.ok(!targets.slice(index).some((later) => target.startsWith(`${later}/`)), target);
  });

  it('have nodev and nosuid wherever possible', () => {
    const syscalls = new RecordingSyscalls();
    mountGuest(syscalls, () => false);
    for (const [, target, , flags] of syscalls.argumentsOf('mount')) {
      assert.ok((Number(flags) & MountFlag.NoSuid) !== 0, String(target));
      const holdsDevices = String(target) === '/dev' || String(target) === '/dev/pts';
      assert.equal((Number(flags) & MountFlag.NoDev) !== 0, !holdsDevices, String(target));
    }
  });

  it('have cgroups that a container cannot change beyond its namespace, as with Kata’s agent', () => {
    const syscalls = new RecordingSyscalls();
    mountGuest(syscalls, () => false);
    const mounted = syscalls.argumentsOf('mount').find(([, target]) => target === '/sys/fs/cgroup');
    const flags = MountFlag.NoSuid | MountFlag.NoDev | MountFlag.NoExec | MountFlag.RelativeAccessTime;
    assert.deepEqual(mounted?.slice(2), ['cgroup2', flags, 'nsdelegate']);
  });

  it('are skipped if present, and are optional only where declared', () => {
    const mounted = new RecordingSyscalls();
    mountGuest(mounted, () => true);
    assert.deepEqual(mounted.calls, []);
    const without = (type: string): RecordingSyscalls => {
      const syscalls = new RecordingSyscalls();
      const failing = new RecordingSyscalls();
      failing.fail('mount', 'ENODEV');
      syscalls.script('mount', (source, target, given, flags, data) => {
        if (given === type) failing.mount(source, target, given, flags, data);
      });
      return syscalls;
    };
    mountGuest(without('configfs'), () => false);
    assert.throws(() => mountGuest(without('cgroup2'), () => false), { code: 'ENODEV' });
  });
});

describe('power-off', () => {
  it('drains the console, syncs the disks, then powers off', () => {
    const syscalls = new RecordingSyscalls();
    powerOff(syscalls, 'this is a test');
    assert.deepEqual(
      syscalls.calls.map(({ name }) => name),
      ['drain', 'sync', 'reboot'],
    );
  });

  it('does not wait for a console that is not a terminal', () => {
    const syscalls = new RecordingSyscalls();
    syscalls.fail('drain', 'ENOTTY');
    powerOff(syscalls, 'this is a test');
    assert.equal(syscalls.argumentsOf('reboot').length, 1);
  });
});

describe('a kernel panic', () => {
  it('reboots the machine if the kernel command line sets no timeout', () => {
    const directory = mkdtempSync(join(tmpdir(), 'panic-'));
    try {
      const setting = join(directory, 'panic');
      for (const [before, after] of [
        ['0', '1'],
        ['5', '5'],
        ['-1', '-1'],
      ] as const) {
        writeFileSync(setting, `${before}\n`);
        assert.equal(endOnPanic(setting), undefined);
        assert.equal(readFileSync(setting, 'utf8'), `${after}\n`);
      }
      assert.match(endOnPanic(join(directory, 'none')) ?? '', /would hang the machine: ENOENT/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe('kernel modules', () => {
  it('are listed in the format of systemd', () => {
    const directory = mkdtempSync(join(tmpdir(), 'modules-'));
    try {
      writeFileSync(join(directory, 'b.conf'), '# remark\n; another\n\n  overlay\n');
      writeFileSync(join(directory, 'a.conf'), 'vsock\nvirtio_blk\n');
      writeFileSync(join(directory, 'c.txt'), 'not_this\n');
      assert.deepEqual(wantedModules(directory), ['vsock', 'virtio_blk', 'overlay']);
      assert.deepEqual(wantedModules(join(directory, 'none')), []);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('are loaded by one program, whose error is reported', async () => {
    assert.equal(await startLoadingModules([], '/nowhere/modprobe'), undefined);
    assert.equal(await startLoadingModules(['vsock'], '/bin/true'), undefined);
    assert.match((await startLoadingModules(['a', 'b'], '/bin/false')) ?? '', /\/bin\/false -a a b/);
    assert.match((await startLoadingModules(['a'], '/bin/ls')) ?? '', /\/bin\/ls -a a: .*No such file/);
    assert.equal(loadModule('vsock', '/bin/true'), undefined);
    assert.match(loadModule('vsock', '/bin/false') ?? '', /\/bin\/false vsock/);
    for (const complaint of [
      await startLoadingModules(['vsock'], '/nowhere/modprobe'),
      loadModule('vsock', '/nowhere/modprobe'),
    ])
      assert.match(complaint ?? '', /\/nowhere\/modprobe: .*ENOENT/);
  });
});

describe('READY for systemd', () => {
  it('is sent only to a manager that listens', () => {
    const syscalls = new RecordingSyscalls();
    assert.equal(notifyReady(syscalls, { parent: 77, path: '/run/systemd/notify' }), false);
    assert.equal(notifyReady(syscalls, { parent: 1, path: '/nowhere' }), false);
    assert.equal(notifyReady(syscalls, { parent: 1, path: '/etc/passwd' }), false, 'no socket');
    assert.deepEqual(syscalls.calls, []);
  });

  it('is one message on its socket', () => {
    const directory = mkdtempSync(join(tmpdir(), 'notify-'));
    const path = join(directory, 'notify');
    const syscalls = loadSyscalls();
    const manager = syscalls.socket(Socket.Unix, Socket.Datagram | Socket.NonBlock, 0);
    try {
      syscalls.bind(manager, unixSocketAddress({ kind: 'path', path }), path);
      assert.equal(notifyReady(syscalls, { parent: 1, path }), true);
      const buffer = Buffer.alloc(64);
      assert.equal(buffer.toString('latin1', 0, readSync(manager, buffer)), 'READY=1');
    } finally {
      syscalls.close(manager);
      rmSync(directory, { recursive: true });
    }
    const nobody = mkdtempSync(join(tmpdir(), 'notify-'));
    rmSync(nobody, { recursive: true });
    assert.equal(notifyReady(syscalls, { parent: 1, path: nobody }), false);
  });
});
