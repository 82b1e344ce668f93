import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { mounts } from '@kata-agent/linux';
import type { CreateSandbox } from '../request/actions.js';
import { RealGuest, runtimeName, settled, skip } from '../testing/real-guest.js';
import { closeStdin, execProcess, signalProcess, writeStdin } from '../perform/processes.js';
import { copyFile } from '../perform/storage.js';
import { createContainer, startContainer } from '../perform/containers.js';
import { createSandbox, destroySandbox } from '../perform/sandbox.js';

let real: RealGuest;
before(async () => {
  if (skip === false) real = await RealGuest.open();
});
after(async () => {
  if (skip === false) await real.close();
});
afterEach(async () => {
  if (skip !== false) return;
  await destroySandbox(real.guest);
  real.makeRootfs();
});

const sandbox = (more: Partial<CreateSandbox> = {}): CreateSandbox => ({
  sandboxId: 's1',
  hostname: 'pod-1',
  dns: [],
  storages: [],
  ...more,
});

const isMounted = (place: string): boolean =>
  mounts().some(({ target }) => target === join(real.kata, place));

test('Kata’s directory is empty for a new sandbox, except files of CopyFile', { skip }, async () => {
  mkdirSync(join(real.kata, 'stale/deep'), { recursive: true });
  await copyFile(real.guest, {
    path: join(real.kata, 'shared/containers/early'),
    fileSize: 1,
    fileMode: 0o100644,
    dirMode: 0o755,
    uid: 0,
    gid: 0,
    offset: 0,
    data: Buffer.from('x'),
  });
  await createSandbox(real.guest, sandbox());
  assert.ok(!existsSync(join(real.kata, 'stale')));
  assert.equal(readFileSync(join(real.kata, 'shared/containers/early'), 'utf8'), 'x');
});

test('a sandbox without containers is replaced by another one, and not if it had any', { skip }, async () => {
  const file = (name: string): string => join(real.kata, 'sandbox/shm', name);
  const shm = real.storage('ephemeral', 'sandbox/shm', { fstype: 'tmpfs' });
  await createSandbox(real.guest, sandbox({ storages: [shm], dns: ['nameserver 192.0.2.1'] }));
  writeFileSync(file('of-the-first'), '');
  await createSandbox(real.guest, sandbox({ sandboxId: 's2', hostname: 'pod-2', storages: [shm] }));
  assert.equal(real.guest.sandbox.id, 's2');
  assert.ok(!existsSync(file('of-the-first')));
  assert.equal(mounts().filter(({ target }) => target === join(real.kata, 'sandbox/shm')).length, 1);
  const id = await real.run(['cat', '/proc/sys/kernel/hostname']);
  assert.equal((await real.readAll(id)).toString(), 'pod-2\n');
  await assert.rejects(createSandbox(real.guest, sandbox()), { kind: 'precondition' });
  await real.remove(id);
  await assert.rejects(createSandbox(real.guest, sandbox()), { kind: 'exists', message: /had containers/ });
});

test('invalid requests for a sandbox are refused', { skip }, async () => {
  await assert.rejects(createSandbox(real.guest, sandbox({ hostname: 'a b' })), { kind: 'invalid' });
  await assert.rejects(createSandbox(real.guest, sandbox({ guestHookPath: '/hooks' })), { kind: 'refused' });
  await assert.rejects(
    createSandbox(real.guest, sandbox({ kernelModules: [{ name: '-r', parameters: [] }] })),
    {
      kind: 'invalid',
    },
  );
  for (const [driver, kind] of [
    ['blk-ccw', 'unimplemented'],
    ['image_guest_pull', 'refused'],
    ['what', 'invalid'],
  ] as const) {
    const storages = [real.storage('ephemeral', 'sandbox/shm'), real.storage(driver, 'sandbox/storage/x')];
    await assert.rejects(createSandbox(real.guest, sandbox({ storages })), {
      kind,
      message: new RegExp(driver),
    });
    assert.ok(!isMounted('sandbox/shm'), 'a failed create leaves no mount');
  }
  for (const [mountPoint, kind] of [
    ['/tmp/x', 'refused'],
    [real.kata, 'refused'],
    [`${real.kata}/sandbox/resolv.conf`, 'refused'],
    [`${real.kata}/../x`, 'invalid'],
    [`${real.kata}/a/../../x`, 'invalid'],
  ] as const) {
    const storages = [real.storage('ephemeral', '', { mountPoint })];
    await assert.rejects(createSandbox(real.guest, sandbox({ storages })), { kind }, mountPoint);
  }
  const evil = real.storage('ephemeral', 'sandbox/ephemeral/x', { options: ['evil=1'] });
  await assert.rejects(createSandbox(real.guest, sandbox({ storages: [evil] })), { kind: 'refused' });
});

test('a sandbox that cannot be created does not clear the record of removed containers', {
  skip,
}, async () => {
  const id = await real.run(['true']);
  await real.wait(id);
  await real.remove(id);
  const { members } = real.guest.sandboxStatus;
  assert.deepEqual(
    members.map(({ state, exitCode }) => [state, exitCode]),
    [['removed', 0]],
  );
  const tag = { fstype: 'virtiofs', source: 'no-such-share' };
  const storages = [real.storage('virtio-fs', 'shared/containers', tag)];
  await assert.rejects(createSandbox(real.guest, sandbox({ storages })));
  assert.deepEqual(real.guest.sandboxStatus.members, members);
  await destroySandbox(real.guest);
  assert.deepEqual(real.guest.sandboxStatus.members, []);
});

test('a container that a call has signalled has no exit code for rules, though it exits with 0 (S35)', {
  skip,
}, async () => {
  const codes = (): readonly unknown[] =>
    real.guest.sandboxStatus.members.map(({ state, exitCode }) => [state, exitCode]);
  await createSandbox(real.guest, sandbox());
  // As a program that ends orderly when it is asked to, before its work is done.
  const polite = ['sh', '-c', 'trap "exit 0" TERM USR1; echo ready; while :; do sleep 0.05; done'];
  for (const signal of [15, 10]) {
    const id = await real.run(polite);
    await real.readUntil('ready', { containerId: id, execId: '' });
    await signalProcess(real.guest, { containerId: id, execId: id, signal });
    // The runtime gets it as it is.
    assert.equal(await real.wait(id), 0);
    assert.deepEqual(codes().at(0), ['stopped', undefined]);
    await real.remove(id);
    assert.deepEqual(codes(), [['removed', undefined]]);
  }
  // So it is when all its processes are killed: a child dies first, and its parent can exit with 0 before its turn comes.
  for (const remove of [false, true]) {
    const id = await real.run(polite);
    if (!remove) {
      await signalProcess(real.guest, { containerId: id, execId: '', signal: 9 });
      assert.equal(await real.wait(id), 128 + 9);
      assert.deepEqual(codes().at(0), ['stopped', undefined]);
    }
    await real.remove(id);
    assert.deepEqual(codes(), [['removed', undefined]]);
  }
  // What ends by itself has one, though it is signalled afterwards, as runtimes do, or looked for with signal 0.
  const done = await real.run(['sh', '-c', 'echo ready; read line']);
  await real.readUntil('ready', { containerId: done, execId: '' });
  await signalProcess(real.guest, { containerId: done, execId: done, signal: 0 });
  await writeStdin(real.guest, { containerId: done, execId: '', data: Buffer.from('go\n') });
  assert.equal(await real.wait(done), 0);
  await signalProcess(real.guest, { containerId: done, execId: '', signal: 9 });
  assert.deepEqual(codes().at(0), ['stopped', 0]);
  await real.remove(done);
  assert.ok(codes().some((code) => JSON.stringify(code) === '["removed",0]'));
  await destroySandbox(real.guest);
});

test('a container in which the kernel killed a process by the OOM killer has no exit code for rules (S35)', {
  skip,
}, async () => {
  await createSandbox(real.guest, sandbox());
  // The host chooses the limit. The shell does not look at how its child ended.
  const spec = real.spec(['sh', '-c', 'busybox tail -c 100000000 /dev/zero; exit 0']);
  const linux = { ...spec.linux, resources: { memory: { limit: 16 << 20, swap: 16 << 20 } } };
  const id = real.id();
  const action = { id, execId: id, spec: { ...spec, linux }, storages: [], sandboxPidns: false };
  await createContainer(real.guest, action);
  await startContainer(real.guest, id);
  assert.equal(await real.wait(id), 0);
  const codes = (): readonly unknown[] =>
    real.guest.sandboxStatus.members.map(({ state, exitCode }) => [state, exitCode]);
  assert.deepEqual(codes(), [['stopped', undefined]]);
  await real.remove(id);
  assert.deepEqual(codes(), [['removed', undefined]]);
});

test('a container that ends with the process namespace of the pod has no exit code for rules (S35)', {
  skip,
}, async () => {
  const ends = {
    SIGKILL: (id: string) => signalProcess(real.guest, { containerId: id, execId: '', signal: 9 }),
    'SIGKILL to the first process': (id: string) =>
      signalProcess(real.guest, { containerId: id, execId: id, signal: 9 }),
    removal: (id: string) => real.remove(id),
  };
  for (const [named, end] of Object.entries(ends)) {
    await createSandbox(real.guest, sandbox());
    const pause = await real.run(['sleep', '1000'], { sandboxPidns: true });
    const [sharing, apart] = [
      await real.run(['sleep', '1000'], { sandboxPidns: true }),
      await real.run(['sh', '-c', 'read line'], { sandboxPidns: false }),
    ];
    await end(pause);
    assert.equal(await real.wait(sharing), 128 + 9, named);
    await writeStdin(real.guest, { containerId: apart, execId: '', data: Buffer.from('go\n') });
    assert.equal(await real.wait(apart), 0, named);
    const codes = real.guest.sandboxStatus.members
      .filter(({ state }) => state === 'stopped')
      .map(({ exitCode }) => exitCode);
    assert.ok(codes.includes(0) && !codes.includes(137), `${named}: ${codes.join(' ')}`);
    await destroySandbox(real.guest);
    real.makeRootfs();
  }
});

test('shared memory has the size that someone chose, and not the one that engines write otherwise', {
  skip,
}, async () => {
  const sizeWith = async (size: number): Promise<string | undefined> => {
    const options = ['noexec', 'nosuid', 'nodev', 'mode=1777', `size=${size}`];
    const shm = real.storage('ephemeral', 'sandbox/shm', { source: 'shm', fstype: 'tmpfs', options });
    await createSandbox(real.guest, sandbox({ storages: [shm] }));
    const mounted = mounts().find(({ target }) => target === join(real.kata, 'sandbox/shm'));
    assert.ok(mounted?.options.includes('noexec') === true);
    await destroySandbox(real.guest);
    return mounted?.superOptions.find((option) => option.startsWith('size='));
  };
  assert.equal(await sizeWith(64 * 1024 * 1024), undefined);
  assert.equal(await sizeWith(128 * 1024 * 1024), 'size=131072k');
});

test('a share that the guest has mounted itself is used, without devices', { skip }, async () => {
  const target = join(real.kata, 'shared/containers');
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'noexec', 'premounted', target]);
  writeFileSync(join(target, 'of-the-host'), '');
  const share = { fstype: 'virtiofs', source: 'kataShared' };
  await createSandbox(
    real.guest,
    sandbox({ storages: [real.storage('virtio-fs', 'shared/containers/', share)] }),
  );
  const mounted = mounts().filter((mount) => mount.target === target);
  assert.deepEqual(
    mounted.map(({ source }) => source),
    ['premounted'],
  );
  for (const option of ['noexec', 'nodev']) assert.ok(mounted[0]?.options.includes(option));
  assert.ok(existsSync(join(target, 'of-the-host')));
  await destroySandbox(real.guest);
  assert.ok(!isMounted('shared/containers'));
  real.makeRootfs();
});

test('shared memory of the sandbox, hostname, resolver and namespaces reach the containers', {
  skip,
}, async () => {
  const shm = real.storage('ephemeral', 'sandbox/shm', {
    fstype: 'tmpfs',
    options: ['mode=1777', 'size=1m'],
  });
  await createSandbox(
    real.guest,
    sandbox({ storages: [shm], dns: ['nameserver 192.0.2.1', 'search example'] }),
  );
  writeFileSync(join(real.rootfs, 'etc/resolv.conf'), 'of the image\n');
  const first = await real.run(['sleep', '1000']);
  const script = 'cat /proc/sys/kernel/hostname /etc/resolv.conf; ls -l /proc/self/ns';
  const inPod = await real.run(['sh', '-c', script], { sandboxPidns: true });
  const text = (await real.readAll(inPod)).toString();
  assert.match(text, /^pod-1\nnameserver 192\.0\.2\.1\nsearch example\n/);
  const alone = await real.run(['sh', '-c', script]);
  const other = (await real.readAll(alone)).toString();
  const namespace = (type: string, from: string): string | undefined =>
    new RegExp(`${type}:\\[(\\d+)\\]`).exec(from)?.[1];
  assert.equal(namespace('uts', text), namespace('uts', other));
  assert.equal(namespace('ipc', text), namespace('ipc', other));
  assert.notEqual(namespace('pid', text), namespace('pid', other));
  await signalProcess(real.guest, { containerId: first, execId: '', signal: 9 });
  await real.wait(first);
  await assert.rejects(real.run(['true'], { sandboxPidns: true }), {
    kind: 'precondition',
    message: /has ended/,
  });
  assert.ok(isMounted('sandbox/shm'));
  await destroySandbox(real.guest);
  assert.deepEqual(readdirSync(real.kata), []);
  assert.deepEqual(real.traces().mounts, []);
  real.makeRootfs();
});

test('the pod’s hostname is that of its first container', { skip }, async () => {
  await createSandbox(real.guest, sandbox());
  const named = (script: string, hostname: string): Promise<string> => {
    const spec = { ...real.spec(['sh', '-c', script]), hostname };
    return real.run([], { spec });
  };
  const script = 'cat /proc/sys/kernel/hostname; read line; cat /proc/sys/kernel/hostname';
  const first = await named(script, 'first');
  assert.equal(await real.readUntil('\n', { containerId: first, execId: '' }), 'first\n');
  await assert.rejects(named('true', 'a b'), { kind: 'invalid' });
  const failing = { ...real.spec(['/no/such/program']), hostname: 'evil' };
  await assert.rejects(real.run([], { spec: failing }));
  const other = await named('cat /proc/sys/kernel/hostname', 'evil');
  assert.equal((await real.readAll(other)).toString(), 'first\n');
  await closeStdin(real.guest, { containerId: first, execId: '' });
  assert.equal((await real.readAll(first)).toString(), 'first\n');
  await destroySandbox(real.guest);
  real.makeRootfs();
});

test('SIGKILL with the container’s id as exec id kills the first process only', { skip }, async () => {
  const pod = await real.run(['sleep', '1000']);
  // Its own pid namespace would end with its first process.
  const id = await real.run(['sleep', '1000'], { sandboxPidns: true });
  await execProcess(real.guest, { containerId: id, execId: 'e', process: real.process(['sleep', '1000']) });
  await signalProcess(real.guest, { containerId: id, execId: id, signal: 9 });
  assert.equal(await real.wait(id), 137);
  await signalProcess(real.guest, { containerId: id, execId: 'e', signal: 0 });
  assert.ok(!real.guest.container(id).process('e').ended);
  await assert.rejects(signalProcess(real.guest, { containerId: id, execId: id, signal: 9 }), {
    kind: 'not-found',
  });
  await signalProcess(real.guest, { containerId: id, execId: '', signal: 9 });
  assert.equal(await real.wait(id, 'e'), 137);
  for (const each of [id, pod]) await real.remove(each);
});

test('IPC and UTS namespaces outlive the container that created them', { skip }, async () => {
  await createSandbox(real.guest, sandbox());
  const show = 'cat /proc/sys/kernel/hostname; readlink /proc/self/ns/ipc; readlink /proc/self/ns/uts';
  const shown = async (id: string): Promise<string> => {
    const text = (await real.readAll(id)).toString();
    await real.wait(id);
    return text;
  };
  const first = await real.run(['sh', '-c', show]);
  const had = await shown(first);
  assert.match(had, /^pod-1\nipc:\[\d+\]\nuts:\[\d+\]\n$/);
  assert.equal(await shown(await real.run(['sh', '-c', show])), had, 'the first one has ended');
  await real.remove(first);
  assert.equal(await shown(await real.run(['sh', '-c', show])), had, 'the first one is removed');
  await destroySandbox(real.guest);
  assert.deepEqual(real.traces().mounts, []);
  assert.deepEqual(
    real.traces().files.filter((file) => file.includes('namespaces')),
    [],
  );
  real.makeRootfs();
});

test('an emptyDir, as the Go runtime requests it, is visible in every container of the pod', {
  skip,
}, async () => {
  const pod = await real.run(['sleep', '1000']);
  const volume = real.storage('local', `shared/containers/${pod}/rootfs/local/scratch`, {
    options: ['mode=0777'],
  });
  const run = (script: string): Promise<string> => {
    const spec = real.spec(['/bin/sh', '-c', script]);
    const options = ['rbind', 'rprivate', 'rw'];
    const mount = { destination: '/scratch', type: 'local', source: volume.mountPoint, options };
    return real.run([], { spec: { ...spec, mounts: [...(spec.mounts ?? []), mount] }, storages: [volume] });
  };
  assert.equal(await real.wait(await run('echo kept > /scratch/note')), 0);
  const reader = await run('cat /scratch/note');
  assert.equal((await real.readAll(reader)).toString(), 'kept\n');
  await destroySandbox(real.guest);
  assert.deepEqual(real.traces().mounts, []);
  real.makeRootfs();
});

test('storages of the pod outlive a container, others are released with their last container', {
  skip,
}, async () => {
  const empty = real.storage('ephemeral', 'sandbox/ephemeral/a', { options: ['fsgid=1234'] });
  const pod = await real.run(['sleep', '1000']);
  const local = real.storage('local', `shared/containers/${pod}/rootfs/local/b`, { options: ['mode=0777'] });
  const bound = real.storage('bind', 'sandbox/storage/bound', { source: real.rootfs, options: ['ro'] });
  const shared = { ...real.storage('bind', 'sandbox/storage/kept', { source: real.rootfs }), shared: true };
  const storages = [empty, local, bound, shared];
  const one = await real.run(['sleep', '1000'], { storages });
  const two = await real.run(['sleep', '1000'], { storages });
  assert.equal(lstatSync(empty.mountPoint).gid, 1234);
  assert.ok((lstatSync(empty.mountPoint).mode & 0o2000) !== 0);
  assert.equal(lstatSync(local.mountPoint).mode & 0o777, 0o777);
  writeFileSync(join(local.mountPoint, 'data'), 'x');
  assert.throws(() => writeFileSync(join(bound.mountPoint, 'data'), 'x'), { code: 'EROFS' });
  await real.remove(one);
  assert.ok(isMounted('sandbox/storage/bound'), 'its second user is there');
  await real.remove(two);
  assert.deepEqual(['sandbox/ephemeral/a', 'sandbox/storage/bound', 'sandbox/storage/kept'].map(isMounted), [
    true,
    false,
    true,
  ]);
  assert.ok(existsSync(join(local.mountPoint, 'data')), 'a restarted container finds its emptyDir again');
  await destroySandbox(real.guest);
  assert.deepEqual(real.traces().mounts, []);
  assert.deepEqual(readdirSync(real.kata), []);
  real.makeRootfs();
});

test('a root that a storage mounts is found with any spelling of its mount point', { skip }, async () => {
  await createSandbox(real.guest, sandbox());
  const layer = join(real.kata, 'shared/containers/layer');
  cpSync(real.rootfs, layer, { recursive: true, verbatimSymlinks: true });
  writeFileSync(join(layer, 'mark'), 'of the storage');
  writeFileSync(join(real.rootfs, 'mark'), 'of the request');
  for (const spelled of ['//ID/./rootfs', '/ID/rootfs/', '/ID//rootfs/.']) {
    const id = real.id();
    const options = [`lowerdir=${layer}`, 'io.katacontainers.fs-opt.overlay-rw'];
    const overlay = real.storage('overlayfs', '', { fstype: 'overlay', options });
    const storages = [{ ...overlay, mountPoint: `${real.kata}${spelled.replace('ID', id)}` }];
    await real.run(['cat', '/mark'], { id, storages });
    assert.equal((await real.readAll(id)).toString(), 'of the storage', spelled);
    await real.remove(id);
  }
  const relative = real.storage('ephemeral', '', { mountPoint: 'sandbox/shm' });
  await assert.rejects(real.run(['true'], { storages: [relative] }), { kind: 'invalid' });
  await destroySandbox(real.guest);
  real.makeRootfs();
});

test('writes to an overlay root do not change the image', { skip }, async () => {
  const id = real.id();
  const overlay = real.storage('overlayfs', `${id}/rootfs`, {
    fstype: 'overlay',
    options: [`lowerdir=${real.rootfs}`, 'io.katacontainers.fs-opt.overlay-rw'],
  });
  await real.run(['sh', '-c', 'echo x > /written; cat /written'], { id, storages: [overlay] });
  assert.equal((await real.readAll(id)).toString(), 'x\n');
  assert.ok(!existsSync(join(real.rootfs, 'written')));
  await real.remove(id);
  assert.ok(!existsSync(join(real.kata, id)));
});

test('layers that the agent creates are removed with the container, or when the create fails', {
  skip,
}, async () => {
  const id = real.id();
  const [upper, work] = ['fs', 'work'].map((name) => join(real.kata, id, name));
  const overlay = real.storage('overlayfs', `${id}/rootfs`, {
    fstype: 'overlay',
    driverOptions: [upper, work].map((path) => `io.katacontainers.volume.overlayfs.create_directory=${path}`),
    options: [`lowerdir=${real.rootfs}`, `upperdir=${upper}`, `workdir=${work}`],
  });
  const storages = [overlay];
  await assert.rejects(real.run(['/no/such/program'], { id, storages }));
  assert.ok(!existsSync(join(real.kata, id)));
  await real.run(['sh', '-c', 'echo x > /written; sleep 1000'], { id, storages });
  while (!existsSync(join(upper ?? '', 'written'))) await settled();
  await real.remove(id);
  assert.ok(!existsSync(join(real.kata, id)));
  const driverOptions = [`io.katacontainers.volume.overlayfs.create_directory=${real.kata}/${id}/other`];
  await assert.rejects(real.run(['true'], { id, storages: [{ ...overlay, driverOptions }] }), {
    kind: 'refused',
    message: /neither upperdir nor workdir/,
  });
  assert.ok(!existsSync(join(real.kata, id)));
});

test('a writable root outside Kata’s directory is not changed', { skip }, async () => {
  const image = join(real.directory, 'image');
  cpSync(real.rootfs, image, { recursive: true, verbatimSymlinks: true });
  const id = real.id();
  const spec = { ...real.spec(['sh', '-c', 'echo x > /written; cat /written']), root: { path: image } };
  await createContainer(real.guest, { id, execId: id, spec, storages: [], sandboxPidns: false });
  await startContainer(real.guest, id);
  assert.equal((await real.readAll(id)).toString(), 'x\n');
  assert.ok(!existsSync(join(image, 'written')));
  await real.remove(id);
  assert.ok(!existsSync(join(real.kata, id)));
});

test('roots and mount sources that would expose the guest are refused', { skip }, async () => {
  const create = (root: { path: string; readonly?: boolean }, source?: string) => {
    const id = real.id();
    const mounts =
      source === undefined ? [] : [{ destination: '/m', type: 'bind', source, options: ['rbind'] }];
    return createContainer(real.guest, {
      id,
      execId: id,
      spec: { ...real.spec(['true']), root, mounts },
      storages: [],
      sandboxPidns: false,
    });
  };
  const root = { path: real.rootfs };
  await assert.rejects(create({ path: '/' }), { kind: 'refused' });
  await assert.rejects(create({ path: '/', readonly: true }), { kind: 'refused', message: /state/ });
  await assert.rejects(create({ path: 'relative' }), { kind: 'invalid' });
  await assert.rejects(create({ path: '/nonexistent', readonly: true }), { kind: 'invalid' });
  for (const source of ['/', real.state, join(real.state, runtimeName), real.directory]) {
    await assert.rejects(create(root, source), { kind: 'refused' }, source);
  }
  await settled();
  assert.deepEqual(
    real.traces().files.filter((path) => !path.includes('/shared')),
    ['bundles', 'containers', 'mounting', 'run', runtimeName].sort().map((name) => join(real.state, name)),
  );
});
