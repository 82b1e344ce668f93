import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { mounts } from '@kata-agent/linux';
import type { Storage } from '../actions.js';
import { UndoStack } from '../container/undo-stack.js';
import { LoopDevice } from '../testing/loop-device.js';
import { RealGuest, settled, skip, skipWithout } from '../testing/real-guest.js';
import type { StorageOwner } from './storage-driver.js';

let real: RealGuest;
before(async () => {
  if (skip === false) real = await RealGuest.open();
});
after(async () => {
  if (skip === false) await real.close();
});

/** Puts a storage in place for the time of a deed, and asserts that nothing of it is left. */
async function withStorage(
  given: Storage,
  deed: (mountPoint: string) => void | Promise<void>,
  owner: StorageOwner = { kind: 'sandbox' },
): Promise<void> {
  const made = new UndoStack();
  const before = real.traces();
  try {
    await real.guest.context.storages.add(given, owner, made);
    await deed(given.mountPoint);
  } finally {
    assert.deepEqual(await made.unwind(), []);
  }
  assert.deepEqual(real.traces(), before);
}

function typeAt(mountPoint: string): string | undefined {
  return mounts().findLast(({ target }) => target === mountPoint)?.type;
}

for (const fstype of ['ext4', 'xfs'] as const) {
  test(`a disk with ${fstype} is mounted, given to the pod's group, and let go`, {
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

test('an image of erofs is mounted', { skip: skipWithout('mkfs.erofs') }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kata-erofs-'));
  writeFileSync(join(folder, 'hello'), 'hello');
  const disk = new LoopDevice(0);
  try {
    // The image is made in the file that the device is of.
    disk.image('mkfs.erofs', '--quiet', disk.file, folder);
    await withStorage(
      real.storage('blk', 'sandbox/storage/image', { source: disk.path, fstype: 'erofs', options: ['ro'] }),
      (place) => {
        assert.equal(readFileSync(join(place, 'hello'), 'utf8'), 'hello');
      },
    );
  } finally {
    disk.remove();
    rmSync(folder, { recursive: true });
  }
});

test('a fresh disk gets a file system first', { skip: skipWithout('mkfs.ext4') }, async () => {
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

test('what is no disk, or holds no file system, is refused and leaves nothing', { skip }, async () => {
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
    [{ source: disk.path, fstype: 'ext4', options: ['usrjquota=x'] }, { kind: 'refused' }],
    [
      { source: disk.path, fstype: 'ext4', driverOptions: ['encryption_key=ephemeral'] },
      { kind: 'unimplemented' },
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

/** A folder as the kubelet makes a configmap: `..data` leads to a dated folder, and files lead through it. */
class ConfigMap {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'kata-configmap-'));
  #version = 0;

  set(files: Readonly<Record<string, string>>): void {
    const previous = `..2026_${this.#version}`;
    this.#version += 1;
    const dated = `..2026_${this.#version}`;
    mkdirSync(join(this.folder, dated));
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(this.folder, dated, name), text);
      if (!existsSync(join(this.folder, name))) symlinkSync(`..data/${name}`, join(this.folder, name));
    }
    symlinkSync(dated, join(this.folder, '..data_tmp'));
    renameSync(join(this.folder, '..data_tmp'), join(this.folder, '..data'));
    rmSync(join(this.folder, previous), { recursive: true, force: true });
  }
}

async function until(what: () => boolean): Promise<void> {
  for (let tries = 0; tries < 100 && !what(); tries += 1) await delay(100);
  assert.ok(what(), what.toString());
}

test('a configmap is followed, its links and all, and nobody ever sees half of it', { skip }, async () => {
  const configMap = new ConfigMap();
  configMap.set({ a: 'one', b: 'one' });
  const given = real.storage('watchable-bind', 'shared/containers/watchable/c1-config', {
    source: configMap.folder,
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
    rmSync(configMap.folder, { recursive: true });
  }
});

test('what is too much to watch, and a single file, is mounted as it is', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kata-large-'));
  for (let count = 0; count < 20; count += 1) writeFileSync(join(folder, `f${count}`), String(count));
  const place = 'shared/containers/watchable/large';
  try {
    await withStorage(real.storage('watchable-bind', place, { source: folder }), (mountPoint) => {
      writeFileSync(join(folder, 'f1'), 'at once');
      assert.equal(readFileSync(join(mountPoint, 'f1'), 'utf8'), 'at once');
    });
    await withStorage(real.storage('watchable-bind', place, { source: join(folder, 'f2') }), (mountPoint) => {
      assert.equal(readFileSync(mountPoint, 'utf8'), '2');
    });
    await assert.rejects(
      real.guest.context.storages.add(
        real.storage('watchable-bind', 'elsewhere/x', { source: folder }),
        { kind: 'sandbox' },
        new UndoStack(),
      ),
      { kind: 'refused', message: /none where Kata's runtimes mount watchable-bind/ },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a watched directory with too much in it is looked at less and less often', {
  skip,
}, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'kata-filled-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const fill = (count: number): void => {
    for (let index = 0; index < count; index += 1) writeFileSync(join(folder, `f${index}`), String(count));
  };
  fill(2);
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const given = real.storage('watchable-bind', 'shared/containers/watchable/filled', { source: folder });
  await withStorage(given, async (mountPoint) => {
    const text = (): string => readFileSync(join(mountPoint, 'f0'), 'utf8');
    const warned = (): number => real.log.filter((line) => line.includes('cannot be followed now')).length;
    /** Time goes on, and what a look has found is done. */
    const pass = async (milliseconds: number, done: () => boolean): Promise<void> => {
      context.mock.timers.tick(milliseconds);
      for (let turns = 0; turns < 100_000 && !done(); turns += 1) await settled();
      assert.ok(done(), done.toString());
    };
    const before = warned();
    fill(20);
    await pass(2_000, () => warned() === before + 1);
    await settled();
    for (let index = 2; index < 20; index += 1) rmSync(join(folder, `f${index}`));
    context.mock.timers.tick(3_999);
    for (let turns = 0; turns < 1_000; turns += 1) await settled();
    assert.equal(text(), '2', 'after four seconds, not after two');
    await pass(1, () => text() === '20');
    await settled();
    fill(1);
    await pass(2_000, () => text() === '1');
  });
});

test('a link below Kata’s directory leads nowhere: a rule has looked at the path alone', {
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
