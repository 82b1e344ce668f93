import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Directory, loadSyscalls } from '@kata-agent/linux';
import { lentPath, type MediaTasks } from './media/host-media.js';
import { MediaThreads } from './media/media-threads.js';
import { SharedStore } from './image/store/shared-store.js';
import { copyFile, volumeStats } from './perform/storage.js';
import { HostShare, noShare } from './testing/host-share.js';
import { RealGuest, settled, skip as noContainers, skipWithout } from './testing/real-guest.js';
import type { Storage } from './request/actions.js';

const skip = noContainers === false ? noShare : noContainers;
const hanging = 3;

let real: RealGuest;
let media: MediaThreads;
/** The task before which the host stops to answer, once. */
const holding: { before: keyof MediaTasks | undefined } = { before: undefined };
let share: HostShare;
let directory: string;
let longest = 0;
let longestPause = 0;

before(async () => {
  if (skip !== false) return;
  const messages: string[] = [];
  media = new MediaThreads({
    syscalls: loadSyscalls(),
    log: (_, message) => messages.push(message),
    limits: { running: 1, hanging, slowMilliseconds: 50, milliseconds: 1_000 },
  });
  await media.prepare();
  const place = { kind: 'file', path: '/data/hangs-secret' } as const;
  real = await RealGuest.open({
    media: {
      get hanging() {
        return media.hanging;
      },
      prepare: () => media.prepare(),
      run: async (name, args, lent) => {
        if (name === holding.before) {
          await share.hold();
          holding.before = undefined;
        }
        return media.run(name, args, lent);
      },
    },
    dataHub: { unsealSecret: () => Promise.reject(new Error()), secureMount: () => Promise.resolve() },
    secrets: [{ container: 'db', place, resource: 'kbs:///a/b/c' }],
  });
  directory = mkdtempSync(join(tmpdir(), 'kata-host-'));
  writeFileSync(join(directory, 'content'), '');
  truncateSync(join(directory, 'content'), 32 * 1024 * 1024);
  execFileSync('mkfs.ext4', ['-q', '-F', join(directory, 'content')]);
  mkdirSync(join(real.kata, 'shared/containers'), { recursive: true });
  share = await HostShare.mount(join(real.kata, 'shared/containers'), join(directory, 'content'));
});
after(async () => {
  if (skip !== false) return;
  await share.remove();
  await real.close();
  rmSync(directory, { recursive: true });
  console.log(
    `while the host hung: longest life of another container ${longest.toFixed(0)} ms, longest pause of the loop ${longestPause.toFixed(0)} ms`,
  );
});

const volume = (name: string): string => join(real.kata, 'shared/containers', name);

/** Creates a container with a volume of the share. */
const withVolume = (name: string, annotations: Readonly<Record<string, string>> = {}): Promise<string> => {
  const spec = real.spec(['true']);
  const mount = { destination: '/data', type: 'bind', source: volume(name), options: ['rbind'] };
  return real.run(['true'], { spec: { ...spec, annotations, mounts: [...(spec.mounts ?? []), mount] } });
};

/** Reports whether something waits still, after all that is ready has run. */
async function waits(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  return (await Promise.race([promise.catch(() => undefined), settled().then(() => pending)])) === pending;
}

/** Runs another container to its end. */
async function another(): Promise<void> {
  const began = performance.now();
  let last = began;
  const watch = setInterval(() => {
    longestPause = Math.max(longestPause, performance.now() - last);
    last = performance.now();
  }, 1);
  const id = await real.run(['true']);
  assert.equal(await real.wait(id), 0);
  await real.remove(id);
  clearInterval(watch);
  longest = Math.max(longest, performance.now() - began);
}

/** Waits for the end of a call that the host does not answer for; other containers run before and after it. */
async function failsAlone(failed: Promise<void>): Promise<void> {
  assert.ok(await waits(failed), 'it waits');
  await another();
  await failed;
  await another();
}

/** Descriptors of this process by what they lead to, without those of threads. */
const traces = async (): Promise<unknown> => {
  // Starts libuv's threads, which stay.
  await stat('/');
  await settled();
  await media.settle();
  return { ...real.traces(), threads: readdirSync('/proc/self/task').length };
};

const late = { kind: 'deadline', message: /did not answer within 1 seconds; help: look at what serves/ };

test('a container with a volume of the share runs while the host answers', { skip }, async () => {
  const id = await withVolume('plain');
  assert.equal(await real.wait(id), 0);
  await real.remove(id);
});

for (const [what, call] of [
  ['the source of a mount', () => withVolume('hangs-source')],
  ['a directory above it', () => withVolume('hangs-above/source')],
  ['a volume whose use is asked for', () => volumeStats(real.guest, volume('hangs-volume'))],
] as const)
  test(`${what} that the host does not answer for fails its own call alone, and leaves nothing`, {
    skip,
  }, async () => {
    const before = await traces();
    await share.hold();
    const failed = assert.rejects(call(), late);
    await failsAlone(failed);
    assert.equal(media.hanging, 1);
    await share.answer();
    assert.deepEqual(await traces(), before);
    assert.equal(media.hanging, 0);
  });

test('sealed secrets in a volume that the host does not answer for fail their own call alone', {
  skip,
}, async () => {
  const before = await traces();
  holding.before = 'readVolume';
  const failed = assert.rejects(withVolume('hangs-secrets', { name: 'db' }), late);
  assert.ok(await waits(failed), 'it waits');
  await another();
  await failed;
  await share.answer();
  assert.deepEqual(await traces(), before);
});

test('so many calls hang, and then they fail at once, until the host answers again', { skip }, async () => {
  const before = await traces();
  await share.hold();
  for (let number = 0; number < hanging; number += 1)
    await assert.rejects(volumeStats(real.guest, volume(`hangs-${number}`)), late);
  assert.equal(media.hanging, hanging);
  await assert.rejects(volumeStats(real.guest, volume('plain')), {
    kind: 'exhausted',
    message: /3 earlier calls still wait for the host's share, disks or network; help:/,
  });
  await share.answer();
  assert.deepEqual(await traces(), before);
  await volumeStats(real.guest, volume('plain'));
});

test('a disk that the host does not answer for fails its own call alone, and leaves nothing', {
  skip,
}, async () => {
  const loop = execFileSync('losetup', ['--find', '--show', '--direct-io=on', volume('disk')], {
    encoding: 'utf8',
  }).trim();
  try {
    const before = await traces();
    const storage = real.storage('mmioblk', 'sandbox/storage/disk', { source: loop, fstype: 'ext4' });
    await share.hold();
    const failed = assert.rejects(real.run(['true'], { storages: [storage] }), late);
    await failsAlone(failed);
    await share.answer();
    assert.deepEqual(await traces(), before);
  } finally {
    await share.answer();
    execFileSync('losetup', ['--detach', loop]);
  }
});

/** Uses of a disk that begin with an open of it. */
const opens: Readonly<Record<string, (disk: string) => Promise<unknown>>> = {
  'a device': (disk) => {
    const spec = real.spec(['true']);
    const linux = { ...spec.linux, devices: [{ path: '/dev/data', type: 'b', major: 7, minor: 250 }] };
    const device = { id: disk, type: 'mmioblk', vmPath: disk, containerPath: '/dev/data', options: [] };
    return real.run(['true'], { devices: [device], spec: { ...spec, linux } });
  },
  'a volume': (disk) => {
    const storage = real.storage('mmioblk', 'sandbox/storage/disk', { source: disk, fstype: 'ext4' });
    return real.run(['true'], { storages: [storage] });
  },
  'a layer': (disk) => {
    const id = real.id();
    const options = ['X-kata.multi-layer=true', 'X-kata.overlay-lower'];
    const layer = real.storage('blk', join(id, 'rootfs'), { source: disk, fstype: 'erofs', options });
    const spec = { ...real.spec(['true']), root: { path: join(real.kata, id, 'rootfs') } };
    return real.run(['true'], { id, spec, storages: [layer] });
  },
};

for (const [what, use] of Object.entries(opens))
  test(`${what} whose open waits for the host fails its own call alone, and leaves nothing`, {
    skip,
  }, async () => {
    const disk = execFileSync('losetup', ['--find', '--show', '--direct-io=on', volume('disk')], {
      encoding: 'utf8',
    }).trim();
    const blocked: number[] = [];
    try {
      const before = await traces();
      await share.hold();
      // The second one holds the lock that an open needs, until the read of the first one is answered.
      blocked.push(await blockedIn('dd', `if=${disk}`, 'of=/dev/null', 'bs=4096', 'count=1', 'iflag=direct'));
      blocked.push(await blockedIn('losetup', '--direct-io=off', disk));
      const failed = assert.rejects(use(disk), late);
      await failsAlone(failed);
      assert.equal(media.hanging, 1);
      await share.answer();
      await ended(blocked);
      assert.deepEqual(await traces(), before);
      (await real.guest.context.disks.take(disk))();
    } finally {
      await share.answer();
      await ended(blocked);
      execFileSync('losetup', ['--detach', disk]);
    }
  });

/** Waits for the end of processes of this one. */
async function ended(pids: readonly number[]): Promise<void> {
  for (const pid of pids) while (existsSync(`/proc/${pid}`)) await delay(5);
}

/** Starts a program, and returns its number when it is in a call that cannot be interrupted, and stays there. */
async function blockedIn(program: string, ...args: readonly string[]): Promise<number> {
  const { pid = 0 } = spawn(program, args, { stdio: 'ignore' });
  for (let looks = 0; looks < 5; ) {
    await delay(20);
    const state = /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1];
    looks = state === 'D' ? looks + 1 : 0;
  }
  return pid;
}

test('a mount that is shared from below a directory of the share that hangs fails its own call alone', {
  skip,
}, async () => {
  const spec = real.spec(['sh', '-c', 'mount -t tmpfs t /data/hangs-place; echo mounted; exec sleep 1000']);
  const mount = { destination: '/data', type: 'bind', source: volume('plain'), options: ['rbind'] };
  const source = await real.run([], { spec: { ...spec, mounts: [...(spec.mounts ?? []), mount] } });
  await real.readUntil('mounted', { containerId: source, execId: '' });
  const before = await traces();
  const shared = {
    name: 'x',
    sourceContainer: source,
    sourcePath: '/data/hangs-place',
    destinationContainer: 'client',
    destinationPath: '/mnt/x',
  };
  holding.before = 'shareMount';
  const failed = assert.rejects(real.run(['true'], { sharedMounts: [shared] }), late);
  while (holding.before !== undefined) await delay(5);
  await failsAlone(failed);
  await share.answer();
  assert.deepEqual(await traces(), before);
  await real.remove(source);
});

test('the disk for images that the host no longer answers for stops its own call alone', {
  skip,
}, async () => {
  const [kata, dev] = [join(directory, 'store'), join(directory, 'dev')];
  const target = join(kata, 'image');
  mkdirSync(target, { recursive: true });
  const warnings: string[] = [];
  const loop = execFileSync('losetup', ['--find', '--show', '--direct-io=on', volume('disk')], {
    encoding: 'utf8',
  }).trim();
  try {
    const before = await traces();
    await media.run('mount', { source: loop, target, type: 'ext4', options: ['ro', 'noload'] });
    const store = new SharedStore(
      {
        ...real.guest.context,
        media,
        paths: { ...real.guest.context.paths, kata, dev },
        log: (_, message) => warnings.push(message),
      },
      'if-attached',
    );
    await share.hold();
    const failed = assert.rejects(store.warnIfUnused('c'), late);
    await failsAlone(failed);
    await share.answer();
    await media.settle();
    await store.warnIfUnused('c');
    assert.match(warnings.join(), /keeps nothing on the disk for images/);
    await media.run('unmount', { target });
    assert.deepEqual(await traces(), before);
  } finally {
    await share.answer();
    await media.run('unmount', { target });
    execFileSync('losetup', ['--detach', loop]);
  }
});

test('a writable layer on a disk that the host no longer answers for fails its own call alone, and leaves nothing', {
  skip: skip === false ? skipWithout('mkfs.erofs') : skip,
}, async () => {
  const image = join(directory, 'layer.erofs');
  execFileSync('mkfs.erofs', ['--quiet', image, real.rootfs]);
  const attach = (file: string, ...options: readonly string[]): string =>
    execFileSync('losetup', ['--find', '--show', ...options, file], { encoding: 'utf8' }).trim();
  const devices = [attach(image, '--read-only'), attach(volume('disk'), '--direct-io=on')];
  const [lower = '', upper = ''] = devices;
  const create = (): Promise<string> => {
    const id = real.id();
    const layer = (source: string, fstype: string, option: string): Storage => {
      const options = ['X-kata.multi-layer=true', option];
      return real.storage('blk', join(id, 'rootfs'), { source, fstype, options });
    };
    const layers = [
      layer(lower, 'erofs', 'X-kata.overlay-lower'),
      layer(upper, 'ext4', 'X-kata.overlay-upper'),
    ];
    const spec = { ...real.spec(['true']), root: { path: join(real.kata, id, 'rootfs') } };
    return real.run(['true'], { id, spec, storages: layers });
  };
  try {
    const before = await traces();
    // Mounting it has read no directory of it.
    holding.before = 'openLayers';
    let failed = Promise.resolve();
    // On a loaded machine the mount itself may take too long.
    for (let tries = 0; tries < 5 && holding.before !== undefined; tries += 1) {
      await failed;
      await media.settle();
      failed = assert.rejects(create(), late);
      while (holding.before !== undefined && (await waits(failed))) await delay(5);
    }
    assert.equal(holding.before, undefined);
    await another();
    await failed;
    await another();
    await share.answer();
    assert.deepEqual(await traces(), before);
  } finally {
    holding.before = undefined;
    await share.answer();
    for (const device of devices) execFileSync('losetup', ['--detach', device]);
  }
});

test('nothing is mounted where a mount may still come late, which is released', { skip }, async () => {
  const target = join(directory, 'target');
  mkdirSync(target);
  const bind = (source: string): Promise<unknown> =>
    media.run('mount', { source: volume(source), target, type: 'bind', options: ['bind'] });
  const before = await traces();
  await share.hold();
  await assert.rejects(bind('hangs-mount'), late);
  await assert.rejects(bind('plain'), {
    kind: 'exhausted',
    message: /^an earlier call that changes .*target/,
  });
  await share.answer();
  assert.deepEqual(await traces(), before);
  await bind('plain');
  await media.run('unmount', { target });
  assert.deepEqual(await traces(), before);
});

test('no newer copy of a file is made while an older one may still write to it', { skip }, async () => {
  const copy = (path: string): Promise<void> =>
    copyFile(real.guest, {
      path: volume(path),
      fileSize: 1,
      fileMode: 0o100644,
      dirMode: 0o755,
      uid: 0,
      gid: 0,
      offset: 0,
      data: Buffer.from('x'),
    });
  const before = await traces();
  await share.hold();
  await assert.rejects(copy('hangs-directory/file'), late);
  await assert.rejects(copy('hangs-directory/file'), {
    kind: 'exhausted',
    message: /^an earlier call that changes .*hangs-directory\/file/,
  });
  await share.answer();
  assert.deepEqual(await traces(), before);
  // On the share of this test every name is a directory.
  await assert.rejects(copy('hangs-directory/file'), {
    kind: 'invalid',
    message: /EISDIR/,
  });
});

test('a mirror that the host answers too late for changes its copy no more', { skip }, async () => {
  const copy = join(directory, 'copy');
  mkdirSync(copy);
  chmodSync(copy, 0o700);
  const syscalls = loadSyscalls();
  const before = await traces();
  const places = [volume('hangs-mirror'), copy].map((path) => Directory.open(syscalls, path));
  const limits = { entries: 10, bytes: 10 };
  await share.hold();
  const failed = assert.rejects(
    media.run(
      'mirrorDirectory',
      { state: { known: new Map(), root: undefined }, limits },
      places.map(({ fd }) => fd),
    ),
    late,
  );
  assert.ok(await waits(failed), 'it waits');
  await another();
  await failed;
  await share.answer();
  await media.settle();
  assert.equal(statSync(copy).mode & 0o777, 0o700);
  for (const place of places) place.close();
  assert.deepEqual(await traces(), before);
});

test('an overlay has the directories that were lent, whatever has their numbers when it is mounted', {
  skip,
}, async () => {
  const path = (name: string): string => join(directory, name);
  for (const name of ['lower', 'other', 'upper', 'work', 'overlay']) mkdirSync(path(name));
  writeFileSync(join(path('lower'), 'of-lower'), '');
  writeFileSync(join(path('other'), 'of-other'), '');
  const options = [`lowerdir=${lentPath(0)}:${path('other')}`];
  const lent = openSync(path('lower'), 'r');
  const mounted = media.run(
    'mount',
    { source: 'overlay', target: path('overlay'), type: 'overlay', options },
    [lent],
  );
  closeSync(lent);
  const reused = openSync(path('work'), 'r');
  assert.equal(reused, lent);
  try {
    await mounted;
    assert.deepEqual(readdirSync(path('overlay')), ['of-lower', 'of-other']);
  } finally {
    closeSync(reused);
    await media.run('unmount', { target: path('overlay') });
  }
});

test('a process that ends waits for no thread of its own, and has its own code', { skip }, async () => {
  await share.hold();
  const modules = ['./media/media-threads.js', './guest-access.js'].map(
    (path) => new URL(path, import.meta.url).href,
  );
  const script = `
    import { Directory, loadSyscalls } from ${JSON.stringify(import.meta.resolve('@kata-agent/linux'))};
    import { MediaThreads } from ${JSON.stringify(modules[0])};
    import { closedAccess } from ${JSON.stringify(modules[1])};
    const limits = { milliseconds: 200 };
    const media = new MediaThreads({ syscalls: loadSyscalls(), log: () => undefined, limits });
    const paths = { kata: ${JSON.stringify(real.kata)}, state: '/nowhere', dev: '/dev', sys: '/sys' };
    const rules = { paths, access: closedAccess };
    await media.run('volumeStats', { path: ${JSON.stringify(volume('hangs-exit'))}, rules })
      .catch(({ kind }) => process.exit(kind === 'deadline' ? 7 : 1));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
  const ended = once(child, 'exit');
  // The kernel reports the end when the thread's call returns; the other threads are gone before.
  const stateOf = (): string | undefined =>
    /\) (\w)/.exec(readFileSync(`/proc/${child.pid}/task/${child.pid}/stat`, 'latin1'))?.[1];
  let state = stateOf();
  for (let looks = 0; state !== 'Z' && looks < 1_000; looks += 1) {
    await delay(20);
    state = stateOf();
  }
  await share.answer();
  assert.deepEqual([state, ...(await ended)], ['Z', 7, null]);
});
