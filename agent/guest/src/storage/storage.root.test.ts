import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Directory, loadSyscalls, mounts, RecordingSyscalls } from '@kata-agent/linux';
import type { DataHub, SecureMount } from '../confidential/data-hub.js';
import { GuestError } from '../guest-error.js';
import { MediaThreads } from '../media/media-threads.js';
import type { Storage } from '../request/actions.js';
import { UndoStack } from '../undo-stack.js';
import { LoopDevice } from '../testing/loop-device.js';
import { RealGuest, settled, skip, skipWithout } from '../testing/real-guest.js';
import type { StorageOwner } from './drivers/storage-driver.js';
import { bindPlace } from './place-calls.js';

let real: RealGuest;
before(async () => {
  if (skip === false) real = await RealGuest.open();
});
after(async () => {
  if (skip === false) await real.close();
});

/** Mounts a storage, runs a task and releases it; asserts that nothing of it is left. */
async function withStorage(
  given: Storage,
  body: (mountPoint: string) => void | Promise<void>,
  owner: StorageOwner = { kind: 'sandbox' },
): Promise<void> {
  const made = new UndoStack();
  const before = real.traces();
  try {
    await real.guest.context.storages.add(given, owner, made);
    await body(given.mountPoint);
  } finally {
    assert.deepEqual(await made.unwind(), []);
  }
  assert.deepEqual(real.traces(), before);
}

function typeAt(mountPoint: string): string | undefined {
  return mounts().findLast(({ target }) => target === mountPoint)?.type;
}

for (const fstype of ['ext4', 'xfs'] as const) {
  test(`a disk with ${fstype} is mounted, gets the pod's group, and is unmounted`, {
    skip: skipWithout(`mkfs.${fstype}`),
  }, async () => {
    const disk = new LoopDevice(320 * 1024 * 1024);
    try {
      disk.with(`mkfs.${fstype}`, '-q');
      const fsGroup = { groupId: 4321, changePolicy: 'always' } as const;
      await withStorage(
        real.storage('blk', 'sandbox/storage/disk', { source: disk.path, fstype, fsGroup }),
        (mountPoint) => {
          assert.equal(typeAt(mountPoint), fstype);
          assert.equal(statSync(mountPoint).gid, 4321);
          writeFileSync(join(mountPoint, 'kept'), 'kept');
        },
      );
      const options = ['ro', ...(fstype === 'xfs' ? ['nouuid'] : ['noload'])];
      await withStorage(
        real.storage('mmioblk', 'sandbox/storage/disk', { source: disk.path, fstype, options }),
        (mountPoint) => {
          assert.equal(readFileSync(join(mountPoint, 'kept'), 'utf8'), 'kept');
          assert.throws(() => writeFileSync(join(mountPoint, 'more'), ''), { code: 'EROFS' });
        },
      );
    } finally {
      disk.remove();
    }
  });
}

for (const [fstype, options] of [
  ['ext3', ['commit=60', 'data=journal', 'noatime', 'nofail', '_netdev']],
  ['ext4', ['commit=60', 'data=ordered', 'nodelalloc', 'discard', 'errors=remount-ro']],
  ['xfs', ['nouuid', 'inode64', 'logbsize=256k', 'noatime', 'allocsize=64m']],
] as const) {
  test(`a disk with ${fstype} is mounted with the options of storage classes`, {
    skip: skipWithout(`mkfs.${fstype}`),
  }, async () => {
    const disk = new LoopDevice(320 * 1024 * 1024);
    try {
      disk.with(`mkfs.${fstype}`, '-q');
      const source = { source: disk.path, fstype, options: [...options] };
      await withStorage(real.storage('blk', 'sandbox/storage/disk', source), (mountPoint) => {
        const line = readFileSync('/proc/self/mountinfo', 'utf8')
          .split('\n')
          .find((each) => each.includes(` ${mountPoint} `));
        assert.match(line ?? '', fstype === 'xfs' ? /logbsize=256k/ : /commit=60/);
      });
    } finally {
      disk.remove();
    }
  });
}

test('an image of erofs is mounted', { skip: skipWithout('mkfs.erofs') }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-erofs-'));
  writeFileSync(join(directory, 'hello'), 'hello');
  const disk = new LoopDevice(0);
  try {
    // The image is created in the backing file of the device.
    disk.image('mkfs.erofs', '--quiet', disk.file, directory);
    await withStorage(
      real.storage('blk', 'sandbox/storage/image', { source: disk.path, fstype: 'erofs', options: ['ro'] }),
      (place) => {
        assert.equal(readFileSync(join(place, 'hello'), 'utf8'), 'hello');
      },
    );
  } finally {
    disk.remove();
    rmSync(directory, { recursive: true });
  }
});

test('a blank disk is formatted', { skip: skipWithout('mkfs.ext4') }, async () => {
  const disk = new LoopDevice(64 * 1024 * 1024);
  try {
    const fresh = real.storage('blk', 'sandbox/storage/fresh', {
      source: disk.path,
      fstype: 'ext4',
      driverOptions: ['create_filesystem'],
    });
    await withStorage(fresh, (mountPoint) => assert.equal(typeAt(mountPoint), 'ext4'));
  } finally {
    disk.remove();
  }
});

test('a bind mount that cannot be made private is not left', { skip }, () => {
  const source = join(real.kata, 'bound-source');
  mkdirSync(source, { recursive: true });
  const kernel = loadSyscalls();
  const failing = new RecordingSyscalls(
    {
      mountSetattr(fd, change, recursive) {
        if (change.propagation !== 0) throw new Error('refused');
        kernel.mountSetattr(fd, change, recursive);
      },
    },
    kernel,
  );
  const base = Directory.open(kernel, real.kata);
  const descriptor = base.place('bound-source');
  try {
    const bind = { isDirectory: true, recursive: true, attributes: 0 };
    assert.throws(
      () => bindPlace({ base, place: 'bound/target', syscalls: failing }, descriptor, bind),
      /refused/,
    );
    assert.equal(existsSync(join(real.kata, 'bound')), false);
    assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes('bound/target'));
  } finally {
    descriptor.close();
    base.close();
  }
});

test('a disk whose journal is on another disk is refused, and that disk is not used', {
  skip: skipWithout('mkfs.ext4'),
}, async () => {
  const journal = new LoopDevice(16 * 1024 * 1024);
  const disk = new LoopDevice(64 * 1024 * 1024);
  try {
    journal.with('mkfs.ext4', '-q', '-b', '4096', '-O', 'journal_dev');
    disk.with('mkfs.ext4', '-q', '-b', '4096', '-J', `device=${journal.path}`);
    for (const fstype of ['ext4', 'ext3']) {
      const source = real.storage('blk', 'sandbox/storage/two', { source: disk.path, fstype });
      await assert.rejects(
        withStorage(source, () => undefined),
        { kind: 'refused', message: /its journal is on another disk/ },
      );
    }
  } finally {
    disk.remove();
    journal.remove();
  }
});

test('paths that are not disks, and disks without a file system, are refused and leave nothing', {
  skip,
}, async () => {
  const disk = new LoopDevice(16 * 1024 * 1024);
  const before = real.traces();
  const wrong: readonly (readonly [Partial<Storage>, object])[] = [
    [{ source: disk.path, fstype: 'ext4' }, { kind: 'invalid' }],
    [{ source: '/dev/null', fstype: 'ext4' }, { kind: 'not-found' }],
    [{ source: '/dev/../etc/passwd', fstype: 'ext4' }, { kind: 'invalid' }],
    [
      { source: disk.path, fstype: 'proc' },
      { kind: 'refused', message: /file system "proc" of a disk/ },
    ],
    ...['vfat', 'ntfs3', 'ext2', 'f2fs', 'iso9660'].map(
      (fstype) =>
        [
          { source: disk.path, fstype },
          { kind: 'refused', message: /file system ".*" of a disk/ },
        ] as const,
    ),
    [{ source: disk.path, fstype: 'ext4', options: ['usrjquota=x'] }, { kind: 'refused' }],
    [
      { source: disk.path, fstype: 'ext4', driverOptions: ['encryption_key=ephemeral'] },
      { kind: 'invalid', message: /needs create_filesystem/ },
    ],
    [
      { source: disk.path, fstype: 'ext4', driverOptions: ['encryption_key=ephemeral', 'create_filesystem'] },
      { kind: 'precondition', message: /this guest has no confidential data hub/ },
    ],
    [{ source: disk.path, fstype: 'xfs', driverOptions: ['create_filesystem'] }, { kind: 'invalid' }],
    [{ source: disk.path, fstype: 'ext4', options: ['X-kata.dmverity.roothash=00'] }, { kind: 'invalid' }],
  ];
  try {
    for (const [more, expected] of wrong) {
      const made = new UndoStack();
      const added = real.guest.context.storages.add(
        real.storage('blk', 'sandbox/storage/x', more),
        { kind: 'sandbox' },
        made,
      );
      await assert.rejects(async () => real.guest.change(() => added), expected, JSON.stringify(more));
    }
    assert.deepEqual(real.traces(), before);
  } finally {
    disk.remove();
  }
});

/**
 * A directory as the kubelet makes a configmap: `..data` links to a timestamped directory, and files link through it.
 */
class ConfigMap {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'kata-configmap-'));
  #version = 0;

  set(files: Readonly<Record<string, string>>): void {
    const previous = `..2026_${this.#version}`;
    this.#version += 1;
    const dated = `..2026_${this.#version}`;
    mkdirSync(join(this.directory, dated));
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(this.directory, dated, name), text);
      if (!existsSync(join(this.directory, name))) symlinkSync(`..data/${name}`, join(this.directory, name));
    }
    symlinkSync(dated, join(this.directory, '..data_tmp'));
    renameSync(join(this.directory, '..data_tmp'), join(this.directory, '..data'));
    rmSync(join(this.directory, previous), { recursive: true, force: true });
  }
}

async function until(what: () => boolean): Promise<void> {
  for (let tries = 0; tries < 100 && !what(); tries += 1) await delay(100);
  assert.ok(what(), what.toString());
}

test('changes of a configmap are copied atomically, with its links', { skip }, async () => {
  const configMap = new ConfigMap();
  configMap.set({ a: 'one', b: 'one' });
  const given = real.storage('watchable-bind', 'shared/containers/watchable/c1-config', {
    source: configMap.directory,
  });
  try {
    await withStorage(given, async (mountPoint) => {
      const seen = new Set<string>();
      const both = (): string => {
        const text = ['a', 'b'].map((name) => readFileSync(join(mountPoint, name), 'utf8')).join();
        seen.add(text);
        return text;
      };
      assert.equal(both(), 'one,one');
      assert.equal(readlinkSync(join(mountPoint, 'a')), '..data/a');
      const reader = setInterval(both, 1);
      configMap.set({ a: 'two', b: 'two' });
      await until(() => both() === 'two,two');
      clearInterval(reader);
      assert.deepEqual([...seen].sort(), ['one,one', 'two,two']);
      await until(() => !existsSync(join(mountPoint, '..2026_1')));
    });
  } finally {
    rmSync(configMap.directory, { recursive: true });
  }
});

test('directories and files that are above the limits at first are bind mounted', { skip }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-large-'));
  for (let count = 0; count < 20; count += 1) writeFileSync(join(directory, `f${count}`), String(count));
  writeFileSync(join(directory, 'large'), Buffer.alloc(1024 * 1024 + 1));
  const place = 'shared/containers/watchable/large';
  try {
    await withStorage(real.storage('watchable-bind', place, { source: directory }), (mountPoint) => {
      writeFileSync(join(directory, 'f1'), 'at once');
      assert.equal(readFileSync(join(mountPoint, 'f1'), 'utf8'), 'at once');
    });
    await withStorage(
      real.storage('watchable-bind', place, { source: join(directory, 'large') }),
      (mountPoint) => {
        assert.equal(statSync(mountPoint).ino, statSync(join(directory, 'large')).ino);
      },
    );
    await assert.rejects(
      real.guest.context.storages.add(
        real.storage('watchable-bind', 'elsewhere/x', { source: directory }),
        { kind: 'sandbox' },
        new UndoStack(),
      ),
      { kind: 'refused', message: /none where Kata's runtimes mount watchable-bind/ },
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a single file is followed: its copy is the same file, and changes are noticed', {
  skip,
}, async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-file-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const source = join(directory, 'key');
  writeFileSync(source, 'the first content', { mode: 0o640 });
  chownSync(source, 1000, 1001);
  const given = real.storage('watchable-bind', 'shared/containers/watchable/c1-key', { source });
  // Node.js keeps one descriptor for all watchers.
  watch(directory).close();
  await withStorage(given, async (mountPoint) => {
    const { ino, uid, gid, mode } = statSync(mountPoint);
    assert.notEqual(ino, statSync(source).ino);
    assert.deepEqual({ uid, gid, mode: mode & 0o777 }, { uid: 1000, gid: 1001, mode: 0o640 });
    assert.equal(readFileSync(mountPoint, 'utf8'), 'the first content');
    const notified = new Promise<void>((resolve) => {
      const watcher = watch(mountPoint, () => resolve(watcher.close()));
    });
    writeFileSync(source, 'shorter');
    await until(() => readFileSync(mountPoint, 'utf8') === 'shorter');
    await notified;
    assert.equal(statSync(mountPoint).ino, ino);
    writeFileSync(source, Buffer.alloc(2 * 1024 * 1024, 'x'));
    await until(() => statSync(mountPoint).size === 2 * 1024 * 1024);
  });
});

test('a watched directory that grows above Kata’s limits is still followed', { skip }, async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-grown-'));
  context.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'f0'), 'few');
  const given = real.storage('watchable-bind', 'shared/containers/watchable/grown', { source: directory });
  await withStorage(given, async (mountPoint) => {
    for (let index = 0; index < 40; index += 1) writeFileSync(join(directory, `f${index}`), 'many');
    await until(() => existsSync(join(mountPoint, 'f39')));
    assert.equal(readFileSync(join(mountPoint, 'f0'), 'utf8'), 'many');
  });
});

test('a watched directory above the limits is compared less often', {
  skip,
}, async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-filled-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const fill = (count: number): void => {
    for (let index = 0; index < count; index += 1) writeFileSync(join(directory, `f${index}`), String(count));
  };
  fill(2);
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const timers = context.mock.method(globalThis, 'setTimeout').mock;
  /** How often the next comparison was set: the other timers are deadlines, and longer. */
  const pauses = (): number =>
    timers.calls.filter(({ arguments: [, ms = 0] }) => ms >= 2_000 && ms <= 4_000).length;
  const given = real.storage('watchable-bind', 'shared/containers/watchable/filled', { source: directory });
  await withStorage(given, async (mountPoint) => {
    const text = (): string => readFileSync(join(mountPoint, 'f0'), 'utf8');
    const warned = (): number => real.log.filter((line) => line.includes('cannot be copied: ')).length;
    /** Advances the clock, and waits until the comparison has finished and the next one is set. */
    const pass = async (milliseconds: number, done: () => boolean): Promise<void> => {
      const before = pauses();
      context.mock.timers.tick(milliseconds);
      for (let turns = 0; turns < 100_000 && pauses() === before; turns += 1) await settled();
      assert.ok(done(), done.toString());
    };
    const before = warned();
    fill(300);
    await pass(2_000, () => warned() === before + 1);
    for (let index = 2; index < 300; index += 1) rmSync(join(directory, `f${index}`));
    context.mock.timers.tick(3_999);
    for (let turns = 0; turns < 1_000; turns += 1) await settled();
    assert.equal(text(), '2', 'after four seconds, not after two');
    await pass(1, () => text() === '300');
    fill(1);
    await pass(2_000, () => text() === '1');
  });
});

test('a watched directory above Kata’s limits is compared every 8 seconds, and one that cannot be copied down to every 64', {
  skip,
}, async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-paused-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const fill = (from: number, to: number): void => {
    for (let index = from; index < to; index += 1) writeFileSync(join(directory, `f${index}`), 'text');
  };
  fill(0, 2);
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const timers = context.mock.method(globalThis, 'setTimeout').mock;
  /** The times to the next comparison: deadlines of calls have others. */
  const pauses = (): readonly number[] =>
    timers.calls.flatMap(({ arguments: [, ms = 0] }) =>
      [2, 4, 8, 16, 32, 64].includes(ms / 1_000) ? ms : [],
    );
  const given = real.storage('watchable-bind', 'shared/containers/watchable/paused', { source: directory });
  await withStorage(given, async (mountPoint) => {
    /** Ends the present pause, and returns the next one. */
    const next = async (): Promise<number | undefined> => {
      const before = pauses();
      context.mock.timers.tick(before.at(-1) ?? 0);
      for (let turns = 0; turns < 100_000 && pauses().length === before.length; turns += 1) await settled();
      assert.equal(pauses().length, before.length + 1);
      return pauses().at(-1);
    };
    assert.deepEqual(pauses().at(-1), 2_000);
    fill(2, 17);
    assert.equal(await next(), 8_000, '17 names');
    fill(17, 256);
    assert.equal(await next(), 8_000, '256 names');
    assert.equal(readdirSync(mountPoint).length, 256);
    fill(256, 257);
    const above = [await next(), await next(), await next(), await next(), await next()];
    assert.deepEqual(above, [16_000, 32_000, 64_000, 64_000, 64_000]);
    assert.equal(readdirSync(mountPoint).length, 256);
    for (let index = 1; index < 257; index += 1) rmSync(join(directory, `f${index}`));
    assert.equal(await next(), 2_000);
    writeFileSync(join(directory, 'f0'), Buffer.alloc(8 * 1024 * 1024));
    assert.equal(await next(), 8_000, '8 MiB');
    writeFileSync(join(directory, 'f0'), Buffer.alloc(8 * 1024 * 1024 + 1));
    assert.equal(await next(), 16_000, 'more');
    assert.equal(statSync(join(mountPoint, 'f0')).size, 8 * 1024 * 1024);
  });
});

test('links below Kata’s directory are not followed', {
  skip,
}, async () => {
  const shared = join(real.kata, 'shared/containers');
  mkdirSync(join(shared, 'layers/work'), { recursive: true });
  mkdirSync(join(real.state, 'output'), { recursive: true });
  for (const [name, target] of [
    ['out', '/etc'],
    ['own', 'layers'],
    ['state', real.state],
  ] as const)
    symlinkSync(target, join(shared, name));
  const refused = { kind: 'refused' };
  const placeOf = (driver: string): string =>
    driver === 'bind' ? 'sandbox/storage/place' : 'shared/containers/watchable/place';
  try {
    for (const path of ['out', 'own', 'own/work', 'out/ssl/', 'state/output', './own//work'])
      for (const driver of ['bind', 'watchable-bind'])
        await assert.rejects(
          withStorage(
            real.storage(driver, placeOf(driver), { source: `${shared}/${path}` }),
            () => undefined,
          ),
          refused,
          path,
        );
    for (const upper of ['own/work', 'state/output'])
      await assert.rejects(
        withStorage(
          real.storage('overlayfs', 'c1/rootfs', {
            options: ['lowerdir=/etc', `upperdir=${shared}/${upper}`, `workdir=${shared}/layers/work`],
          }),
          () => undefined,
          { kind: 'container', id: 'c1', bundle: join(real.state, 'bundles/c1'), others: [] },
        ),
        refused,
        upper,
      );
    await withStorage(
      real.storage('bind', 'sandbox/storage/place', { source: `${shared}//layers/` }),
      () => undefined,
    );
  } finally {
    rmSync(shared, { recursive: true });
  }
});

test('an encrypted emptyDir is mounted by the data hub, gets its group, and is unmounted; a failure leaves nothing', {
  skip,
}, async () => {
  const disk = new LoopDevice(16 * 1024 * 1024);
  const asked: SecureMount[] = [];
  let fails = false;
  let mountsNothing = false;
  const dataHub: DataHub = {
    unsealSecret: () => Promise.reject(new Error('no secret is sealed')),
    secureMount: async (request) => {
      asked.push(request);
      if (fails) throw new GuestError('precondition', 'the data hub refuses');
      if (mountsNothing) return;
      execFileSync('mount', ['-t', 'tmpfs', 'encrypted', request.mountPoint]);
    },
  };
  const other = await RealGuest.open({ dataHub });
  const given = other.storage('blk', 'sandbox/storage/encrypted', {
    source: disk.path,
    fstype: 'ext4',
    driverOptions: ['encryption_key=ephemeral', 'create_filesystem'],
    fsGroup: { groupId: 1234, changePolicy: 'always' },
  });
  try {
    const before = other.traces();
    const made = new UndoStack();
    await other.guest.context.storages.add(given, { kind: 'sandbox' }, made);
    assert.equal(typeAt(given.mountPoint), 'tmpfs');
    assert.equal(statSync(given.mountPoint).gid, 1234);
    const { rdev } = statSync(disk.path);
    const makeOptions = '-O ^has_journal -m 0 -i 163840 -I 128';
    const [call] = asked;
    assert.equal(call?.device, `${rdev >> 8}:${rdev & 0xff}`);
    assert.equal(call.makeOptions, makeOptions);
    // Not at a path of the request, whose directories the host may share.
    assert.ok(call.mountPoint.startsWith(`${other.guest.context.paths.state}/mounting/`), call.mountPoint);
    assert.deepEqual(await made.unwind(), []);
    fails = true;
    await assert.rejects(
      other.guest.context.storages.add(given, { kind: 'sandbox' }, new UndoStack()),
      /the data hub refuses/,
    );
    assert.deepEqual(other.traces(), before);
    [fails, mountsNothing] = [false, true];
    await assert.rejects(
      other.guest.context.storages.add(given, { kind: 'sandbox' }, new UndoStack()),
      /the confidential data hub has not mounted the encrypted disk/,
    );
    assert.deepEqual(other.traces(), before);
  } finally {
    await other.close();
    disk.remove();
  }
});

test('no container gets the plain device of an encrypted emptyDir, also before it is mounted', {
  skip,
}, async () => {
  const disk = new LoopDevice(16 * 1024 * 1024);
  // It stands for the device that the data hub maps, whose name a request can guess: /dev/dm-0.
  const plain = new LoopDevice(16 * 1024 * 1024);
  const sys = mkdtempSync(join(tmpdir(), 'kata-sys-'));
  const blocks = '/sys/dev/block';
  const { rdev } = statSync(plain.path);
  const mapped = `${rdev >> 8}:${rdev & 0xff}`;
  mkdirSync(join(sys, 'dev/block', mapped, 'dm'), { recursive: true });
  for (const name of readdirSync('/sys').filter((each) => each !== 'dev'))
    symlinkSync(join('/sys', name), join(sys, name));
  for (const number of readdirSync(blocks).filter((each) => each !== mapped))
    symlinkSync(realpathSync(join(blocks, number)), join(sys, 'dev/block', number));
  const refused = { kind: 'refused', message: /is in use in the guest/ };
  let isMounted = false;
  const dataHub: DataHub = {
    unsealSecret: () => Promise.reject(new Error('no secret is sealed')),
    secureMount: async ({ mountPoint }) => {
      const { disks } = other.guest.context;
      await assert.rejects(disks.attach(plain.path, 'other'), refused);
      plain.with('mkfs.ext4', '-q');
      await assert.rejects(disks.attach(plain.path, 'other'), refused);
      execFileSync('mount', [plain.path, mountPoint]);
      isMounted = true;
    },
  };
  const other = await RealGuest.open({ dataHub, paths: { sys } });
  try {
    const made = new UndoStack();
    const given = other.storage('blk', 'sandbox/storage/encrypted', {
      source: disk.path,
      fstype: 'ext4',
      driverOptions: ['encryption_key=ephemeral', 'create_filesystem'],
    });
    await other.guest.context.storages.add(given, { kind: 'sandbox' }, made);
    assert.ok(isMounted);
    await assert.rejects(other.guest.context.disks.attach(plain.path, 'other'), refused);
    assert.deepEqual(await made.unwind(), []);
  } finally {
    await other.close();
    disk.remove();
    plain.remove();
    rmSync(sys, { recursive: true });
  }
});

/** Writes a disk with 2^`levels` paths: each directory is in the one above it twice. */
function manyPaths(disk: LoopDevice, levels: number): void {
  disk.with('mkfs.ext4', '-q', '-O', '^metadata_csum,^dir_index');
  const names = Array.from({ length: levels }, (_, level) => `level${level}`);
  const commands = names.map((name) => `mkdir ${name}`);
  for (const [level, name] of names.slice(1).entries())
    for (const link of ['a', 'b']) commands.push(`link ${name} ${names[level]}/${link}`);
  execFileSync('debugfs', ['-w', '-f', '-', disk.path], {
    input: commands.map((each) => `${each}\n`).join(''),
    stdio: ['pipe', 'ignore', 'ignore'],
  });
}

test('a disk with more paths than anybody can walk fails its own call alone, and is released', {
  skip: skipWithout('mkfs.ext4', 'debugfs'),
}, async () => {
  const threads = new MediaThreads({
    syscalls: loadSyscalls(),
    log: () => undefined,
    limits: { running: 1, slowMilliseconds: 100, longestMilliseconds: 2_000 },
  });
  const guest = await RealGuest.open({ media: threads });
  const disk = new LoopDevice(64 * 1024 * 1024);
  try {
    // A walk of many seconds, which ends also if it is not given up.
    manyPaths(disk, 18);
    const { context } = guest.guest;
    const fsGroup = { groupId: 4321, changePolicy: 'always' } as const;
    const storage = guest.storage('blk', 'sandbox/storage/paths', {
      source: disk.path,
      fstype: 'ext4',
      fsGroup,
    });
    const made = new UndoStack();
    const walk = context.storages.add(storage, { kind: 'sandbox' }, made).then(
      () => 'walked',
      (error: unknown) => error,
    );
    while (typeAt(storage.mountPoint) === undefined) await delay(20);
    const other = context.media.run('attributesOf', {}, [0]).then(() => 'another call');
    assert.equal(await Promise.race([other, walk]), 'another call');
    const failed = await walk;
    assert.ok(failed instanceof GuestError && failed.kind === 'deadline', String(failed));
    assert.match(failed.message, /did not end within 2 seconds/);
    assert.deepEqual(await made.unwind(), []);
    await threads.settle();
    assert.equal(typeAt(storage.mountPoint), undefined);
    (await context.disks.take(disk.path))();
  } finally {
    await guest.close();
    disk.remove();
  }
});
