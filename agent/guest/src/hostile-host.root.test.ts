import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { loadSyscalls, mount, mounts, RecordingSyscalls, unmountTree } from '@kata-agent/linux';
import type { CreateSandbox, Storage } from './request/actions.js';
import { closedAccess } from './guest-access.js';
import type { OciMount } from './request/oci-spec.js';
import { copyFile, updateEphemeralMounts } from './perform/storage.js';
import { createSandbox, destroySandbox } from './perform/sandbox.js';
import { LoopDevice } from './testing/loop-device.js';
import { RealGuest, settled, skip, type Traces } from './testing/real-guest.js';

// Requests of a hostile host that a configuration permits: each is refused, and leaves nothing (docs/security.md, S29 to S31).

const kernel = new RecordingSyscalls({}, loadSyscalls());
let real: RealGuest;
let atRest: Traces;
before(async () => {
  if (skip !== false) return;
  real = await RealGuest.open({
    access: {
      ...closedAccess,
      paths: ['/usr/lib', '/usr/bin/env', '/dev/zero'].map((path) => ({ path, writable: false })),
    },
    syscalls: kernel,
  });
  atRest = real.traces();
});
after(async () => {
  if (skip === false) await real.close();
});
afterEach(async () => {
  if (skip !== false) return;
  await destroySandbox(real.guest);
  real.makeRootfs();
  await settled();
  assert.deepEqual(real.traces(), atRest);
});

async function sandboxWith(...storages: readonly Storage[]): Promise<void> {
  const action: CreateSandbox = { sandboxId: 'pod', hostname: 'pod', dns: [], storages };
  await createSandbox(real.guest, action);
}

function run(
  script: string,
  mount: Partial<OciMount> = {},
  storages: readonly Storage[] = [],
): Promise<string> {
  const spec = real.spec(['/bin/sh', '-c', script]);
  const bound: readonly OciMount[] =
    mount.source === undefined ? [] : [{ destination: '/m', type: 'bind', options: ['rbind'], ...mount }];
  return real.run([], { spec: { ...spec, mounts: [...(spec.mounts ?? []), ...bound] }, storages });
}

function share(name: string): string {
  return join(real.kata, 'shared/containers', name);
}

async function copy(path: string, data: string): Promise<void> {
  await copyFile(real.guest, {
    path,
    fileSize: data.length,
    fileMode: 0o100644,
    dirMode: 0o755,
    uid: 0,
    gid: 0,
    offset: 0,
    data: Buffer.from(data),
  });
}

const refused = { kind: 'refused' };

test("storages over the agent's files, the share or a bundle are refused", { skip }, async () => {
  for (const place of [
    'sandbox/resolv.conf',
    'sandbox',
    'shared',
    'shared/containers',
    'shared/containers/etc',
    'pod',
    'pod/config.json',
    'pod/rootfs',
  ])
    for (const source of ['/usr/lib', '/etc', '/usr/bin/env'])
      await assert.rejects(
        sandboxWith(real.storage('bind', place, { source, fstype: 'bind' })),
        refused,
        place,
      );
  await assert.rejects(
    sandboxWith(real.storage('virtio-fs', 'sandbox', { source: 'kataShared', fstype: 'virtiofs' })),
    refused,
  );
  await assert.rejects(sandboxWith(real.storage('ephemeral', 'shared/containers/x')), refused);
});

test("storages cannot replace the agent's resolv.conf", { skip }, async () => {
  await createSandbox(real.guest, {
    sandboxId: 'pod',
    hostname: '',
    dns: ['nameserver 192.0.2.1'],
    storages: [],
  });
  assert.ok(!existsSync(join(real.kata, 'sandbox/resolv.conf')));
  assert.equal(readFileSync(join(real.state, 'sandbox/resolv.conf'), 'utf8'), 'nameserver 192.0.2.1\n');
});

test('sources are paths that the runtimes use, or that the configuration lists', { skip }, async () => {
  for (const source of [
    '/',
    '/etc',
    '/etc/shadow',
    '/proc',
    '/proc/1/root',
    '/proc/self/cwd',
    '/sys',
    '/dev',
    '/dev/mem',
    '/usr',
    real.kata,
    real.state,
    join(real.state, 'bundles'),
    join(real.kata, 'shared'),
    join(real.kata, 'shared/containers'),
    join(real.kata, 'sandbox'),
  ]) {
    await assert.rejects(run('true', { source }), refused, source);
    await assert.rejects(
      sandboxWith(real.storage('watchable-bind', 'shared/containers/watchable/x', { source })),
      refused,
    );
    await assert.rejects(sandboxWith(real.storage('bind', 'sandbox/storage/x', { source })), refused);
  }
  const listed = await run('touch /m/x; ls /m | head -n 1', { source: '/usr/lib', options: ['rbind', 'rw'] });
  assert.notEqual((await real.readAll(listed)).toString(), '');
  assert.match((await real.readAll(listed, 'stderr')).toString(), /Read-only file system/);
  const asFile = { destination: '/tmp/f', options: ['rbind', 'ro'] };
  const device = await run('head -c 3 /tmp/f | wc -c', { ...asFile, source: '/dev/zero' });
  assert.equal((await real.readAll(device)).toString().trim(), '3');
  const file = await run('head -c 4 /tmp/f | tail -c 3', { ...asFile, source: '/usr/bin/env' });
  assert.equal((await real.readAll(file)).toString(), 'ELF');
});

test('the layers of an overlay are paths of the container itself', { skip }, async () => {
  const first = await run('sleep 1000');
  mkdirSync(share('layers/work'), { recursive: true });
  const id = real.id();
  const upper = share('layers');
  for (const options of [
    ['lowerdir=/etc'],
    [`lowerdir=${real.state}`],
    [`lowerdir=${share('layers')}:/proc`],
    [`lowerdir=${share('layers')}`, 'upperdir=/tmp', 'workdir=/tmp'],
    [`lowerdir=${share('layers')}`, `upperdir=${real.state}`, `workdir=${upper}/work`],
    [`lowerdir=${share(first)}`],
  ])
    await assert.rejects(
      real.run(['true'], { id, storages: [real.storage('overlayfs', `${id}/rootfs`, { options })] }),
      { kind: /refused|invalid/ },
      options.join(),
    );
});

test('changes of the host after a source was opened have no effect', { skip }, async (context) => {
  mkdirSync(share('config'), { recursive: true });
  writeFileSync(join(share('config'), 'right'), 'right');
  const swap = (): void => {
    renameSync(share('config'), share('away'));
    symlinkSync('/etc', share('config'));
  };
  const copyTree = (directory: number, path: string | Uint8Array, flags: number): number => {
    if (readlinkSync(`/proc/self/fd/${directory}`) === share('config')) swap();
    return loadSyscalls().openTree(directory, path, flags);
  };
  kernel.script('openTree', copyTree);
  context.after(() => kernel.script('openTree', (...args) => loadSyscalls().openTree(...args)));
  const id = await run('cat /m/right; ls /m', { source: share('config') });
  assert.ok(existsSync(share('away')), 'it was changed between the check and the copy');
  assert.equal((await real.readAll(id)).toString(), 'rightright\n');
});

test('links, and paths through links, are refused as sources', { skip }, async () => {
  mkdirSync(share('real/inner'), { recursive: true });
  for (const [name, target] of [
    ['out', '/etc'],
    ['up', '../../..'],
    ['own', 'real'],
    ['magic', '/proc/self/root'],
  ] as const)
    symlinkSync(target, share(name));
  for (const name of ['out', 'out/ssl', 'up', 'up/etc', 'own', 'own/inner', 'magic', 'magic/etc'])
    await assert.rejects(run('true', { source: share(name) }), refused, name);
  symlinkSync('/proc/self/cwd', share('rootfs2'));
  await assert.rejects(
    real.run(['true'], { spec: { ...real.spec(['true']), root: { path: share('rootfs2') } } }),
    refused,
  );
});

test('a source with a mount of a kernel file system below it is refused', { skip }, async (context) => {
  const inner = join(share('volume'), 'inner');
  mkdirSync(inner, { recursive: true });
  const syscalls = loadSyscalls();
  mount(syscalls, { source: 'proc', target: inner, type: 'proc', options: ['private'] });
  context.after(() => unmountTree(syscalls, share('volume')));
  await assert.rejects(run('true', { source: share('volume') }), {
    kind: 'refused',
    message: /file system proc/,
  });
  await assert.rejects(run('true', { source: inner }), refused);
  // Without the submount the source is allowed.
  const id = await run('ls /m/inner', { source: share('volume'), options: ['bind'] });
  assert.equal((await real.readAll(id)).toString(), '');
  await real.remove(id);
  unmountTree(syscalls, share('volume'));
});

test('mounts, storages and mounts below sources are limited', {
  skip,
}, async (context) => {
  const volume = share('volume');
  const syscalls = loadSyscalls();
  context.after(() => unmountTree(syscalls, volume));
  for (let index = 0; index < 65; index += 1) {
    const target = join(volume, String(index));
    mkdirSync(target, { recursive: true });
    mount(syscalls, { source: 'tmpfs', target, type: 'tmpfs', options: ['private'] });
  }
  const attempt = (count: number, options: readonly string[]): Promise<string> => {
    const spec = real.spec(['true']);
    const bound = Array.from({ length: count }, (_, index) => ({
      destination: `/m/${index}`,
      type: 'bind',
      source: volume,
      options,
    }));
    return real.run([], { spec: { ...spec, mounts: [...(spec.mounts ?? []), ...bound] } });
  };
  await assert.rejects(attempt(254, ['bind']), {
    kind: 'invalid',
    message: /the request has 257 mounts, and the limit is 256; help: mount a directory/,
  });
  await assert.rejects(attempt(64, ['rbind']), {
    kind: 'exhausted',
    message: /more than 4096 mounts below them; help: mount them without rbind/,
  });
  const storages = Array.from({ length: 257 }, (_, index) =>
    real.storage('ephemeral', `sandbox/ephemeral/${index}`),
  );
  await assert.rejects(run('true', {}, storages), { kind: 'invalid', message: /257 storages/ });
  await real.remove(await attempt(253, ['bind']));
  unmountTree(syscalls, volume);
});

test('CopyFile does not cross a mount below the share', { skip }, async (context) => {
  const foreign = share('foreign');
  const elsewhere = join(real.directory, 'elsewhere');
  for (const directory of [foreign, elsewhere]) mkdirSync(directory, { recursive: true });
  const syscalls = loadSyscalls();
  mount(syscalls, { source: elsewhere, target: foreign, type: 'bind', options: ['private'] });
  context.after(() => unmountTree(syscalls, foreign));
  for (const name of ['ld.so.preload', 'deep/er/file', '.'])
    await assert.rejects(copy(join(foreign, name), 'x'));
  assert.deepEqual(readdirSync(elsewhere), []);
  unmountTree(syscalls, foreign);
  await copy(join(foreign, 'file'), 'x');
  assert.equal(readFileSync(join(foreign, 'file'), 'utf8'), 'x');
  rmSync(elsewhere, { recursive: true });
});

test('a disk that the guest uses is refused as a storage and as swap', { skip }, async () => {
  const disk = new LoopDevice(64 * 1024 * 1024);
  const place = join(real.directory, 'used');
  mkdirSync(place);
  try {
    disk.with('mkfs.ext4', '-q');
    mount(loadSyscalls(), { source: disk.path, target: place, type: 'ext4', options: ['private'] });
    const given = real.storage('blk', 'sandbox/storage/disk', { source: disk.path, fstype: 'ext4' });
    for (const more of [{}, { driver: 'mmioblk' }, { driverOptions: ['create_filesystem'] }])
      await assert.rejects(sandboxWith({ ...given, ...more }), { kind: 'refused', message: /in use/ });
    await assert.rejects(real.guest.context.swap.add(disk.path), { kind: 'refused', message: /in use/ });
    unmountTree(loadSyscalls(), place);
    await sandboxWith(given);
  } finally {
    unmountTree(loadSyscalls(), place);
    await destroySandbox(real.guest);
    disk.remove();
    rmSync(place, { recursive: true });
  }
});

test('a mounted storage is reused by an equal request only', { skip }, async () => {
  mkdirSync(share('a'), { recursive: true });
  mkdirSync(share('b'), { recursive: true });
  const given = real.storage('bind', 'sandbox/storage/x', {
    source: share('a'),
    fstype: 'bind',
    options: ['ro'],
  });
  await run('sleep 1000', {}, [given]);
  const exists = { kind: 'exists', message: /another storage is mounted/ };
  for (const more of [
    { source: share('b') },
    { options: [] },
    { options: ['ro', 'nodev'] },
    { driver: 'blk' },
    { driverOptions: ['x'] },
    { fstype: '' },
    { shared: true },
    { fsGroup: { groupId: 7, changePolicy: 'always' as const } },
  ])
    await assert.rejects(run('true', {}, [{ ...given, ...more }]), exists, JSON.stringify(more));
  await run('sleep 1000', {}, [given]);
});

test('a group is given to disks only: a bind, an overlay and a share are refused, and keep their owners', {
  skip,
}, async () => {
  const fsGroup = { groupId: 4321, changePolicy: 'always' as const };
  mkdirSync(share('given'), { recursive: true });
  writeFileSync(share('given/file'), '', { mode: 0o600 });
  const id = real.id();
  const layers = ['io.katacontainers.fs-opt.overlay-rw', `lowerdir=${share('given')}`];
  for (const storage of [
    real.storage('bind', 'sandbox/storage/given', { source: share('given') }),
    real.storage('overlayfs', `${id}/rootfs`, { fstype: 'overlay', options: layers }),
    real.storage('virtio-fs', 'shared', { source: 'kataShared', fstype: 'virtiofs' }),
  ])
    await assert.rejects(real.run(['true'], { id, storages: [{ ...storage, fsGroup }] }), {
      kind: 'refused',
      message: new RegExp(`^fsGroup 4321 of the ${storage.driver} storage at .* is refused; help: `),
    });
  const { gid, mode } = statSync(share('given/file'));
  assert.deepEqual([gid, mode & 0o7777], [process.getgid?.(), 0o600]);
});

test('paths of other containers are refused', { skip }, async () => {
  const other = real.id();
  const upper = ['io.katacontainers.fs-opt.overlay-rw'];
  const root = real.storage('overlayfs', `${other}/rootfs`, {
    options: [`lowerdir=${real.rootfs}`, ...upper],
  });
  await real.run(['sleep', '1000'], { id: other, storages: [root] });
  mkdirSync(share(`${other}/rootfs`), { recursive: true });
  const pid = real.guest.container(other).first.pid;
  for (const source of [
    join(real.kata, other, 'rootfs'),
    join(real.kata, other, 'rootfs/etc'),
    share(`${other}/rootfs`),
    share(other),
    join(real.state, 'bundles', other, 'rootfs'),
    join(real.state, 'bundles', other, 'writable/upper'),
    `/proc/${pid}/root`,
  ]) {
    await assert.rejects(run('true', { source }), refused, source);
    const spec = { ...real.spec(['true']), root: { path: source } };
    await assert.rejects(real.run([], { spec }), refused, source);
  }
  const late = real.id();
  mkdirSync(share(`${late}/rootfs`), { recursive: true });
  await assert.rejects(run('true', { source: share(`${late}/rootfs`) }), refused);
  await run('sleep 1000', { source: share(late) });
  await assert.rejects(real.run(['true'], { id: late }), {
    kind: 'refused',
    message: /has a place of container/,
  });
});

test('a tmpfs keeps its mount options when it is resized', { skip }, async () => {
  const options = ['nosuid', 'noexec', 'size=1m', 'mode=1777'];
  await sandboxWith(real.storage('ephemeral', 'sandbox/ephemeral/x', { fstype: 'tmpfs', options }));
  const target = join(real.kata, 'sandbox/ephemeral/x');
  const update = (words: readonly string[]): Promise<void> =>
    updateEphemeralMounts(real.guest, [real.storage('ephemeral', 'sandbox/ephemeral/x', { options: words })]);
  await update(['remount', 'size=2M', 'fsgid=1000']);
  const [mounted] = mounts().filter((each) => each.target === target);
  for (const word of ['nosuid', 'nodev', 'noexec']) assert.ok(mounted?.options.includes(word), word);
  assert.ok(mounted?.superOptions.includes('size=2048k'));
  for (const words of [
    ['remount', 'exec', 'size=3M'],
    ['size=3M', 'suid'],
    ['dev'],
    ['ro'],
    ['size=3M', 'huge=always'],
  ])
    await assert.rejects(update(words), refused, words.join());
  const [unchanged] = mounts().filter((each) => each.target === target);
  assert.deepEqual(unchanged, mounted);
});

test('a container can fill only its own space', { skip }, async () => {
  const pod = real.id();
  const local = real.storage('local', `shared/containers/${pod}/rootfs/local/data`, {
    options: ['mode=0777'],
  });
  await real.run(['sleep', '1000'], { id: pod, storages: [local] });
  const [mounted] = mounts().filter((each) => each.target === local.mountPoint);
  assert.equal(mounted?.type, 'tmpfs');
  // The kernel does not list a size that is its own default, half of an even number of pages; 0 blocks: no limit.
  const { blocks, bsize } = statfsSync(local.mountPoint);
  assert.ok(blocks > 0 && blocks * bsize <= totalmem() / 2 + bsize, `${blocks} blocks of ${bsize} bytes`);
});

test('the tag of a share is never taken as a path of the guest', { skip }, async () => {
  const name = `of-the-guest-${process.pid}`;
  const secret = join(real.directory, name, 'directory/secret');
  mkdirSync(join(secret, '..'), { recursive: true });
  writeFileSync(secret, 'secret');
  // With MS_BIND mount(2) resolves its source from the agent's working directory, in a guest the root.
  const before = process.cwd();
  process.chdir(real.directory);
  try {
    for (const option of ['bind', 'rbind', 'ro,rbind']) {
      const tagged = { source: name, fstype: 'virtiofs', options: [option] };
      const attempt = sandboxWith(real.storage('virtio-fs', 'shared/containers', tagged));
      await assert.rejects(
        attempt,
        { kind: 'refused', message: /mount option "r?bind" of a storage/ },
        option,
      );
      assert.ok(!existsSync(share('directory/secret')));
    }
    const memory = { fstype: 'tmpfs', options: ['bind'] };
    await assert.rejects(sandboxWith(real.storage('ephemeral', 'sandbox/ephemeral/x', memory)), refused);
  } finally {
    process.chdir(before);
    rmSync(join(real.directory, name), { recursive: true });
  }
});
