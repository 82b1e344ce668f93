import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { processesOf } from './cgroup/freeze-and-kill.js';
import { createSandbox, destroySandbox } from './perform/sandbox.js';
import { execProcess, signalProcess } from './perform/processes.js';
import { listInterfaces } from './perform/network.js';
import { createContainer, removeContainer, startContainer } from './perform/containers.js';
import { RealGuest, runtimeName, settled, skip } from './testing/real-guest.js';

let real: RealGuest;
before(async () => {
  if (skip === false) real = await RealGuest.open();
});
after(async () => {
  if (skip === false) await real.close();
});

/** Creates a root for one container, so that files in it affect no other one. */
function ownRoot(): string {
  const root = join(real.kata, 'shared/containers', real.id(), 'rootfs');
  cpSync(real.rootfs, root, { recursive: true, verbatimSymlinks: true });
  return root;
}

function makeFifo(path: string): void {
  assert.equal(spawnSync('mkfifo', [path]).status, 0);
}

async function runIn(root: string): Promise<string> {
  const id = basename(dirname(root));
  const spec = { ...real.spec(['sleep', '1000']), root: { path: root } };
  await createContainer(real.guest, { id, execId: id, spec, storages: [], sandboxPidns: false });
  await startContainer(real.guest, id);
  return id;
}

/** Starts a container in which the runtime blocks: its /etc/passwd or /etc/group is a FIFO without a writer. */
async function runWithFifo(name = 'passwd'): Promise<{ readonly id: string; readonly fifo: string }> {
  const root = ownRoot();
  const id = await runIn(root);
  const fifo = join(root, 'etc', name);
  makeFifo(fifo);
  return { id, fifo };
}

const exec = (containerId: string, execId: string, guest = real.guest): Promise<void> =>
  execProcess(guest, { containerId, execId, process: real.process(['true']) });

/**
 * Resolves when the exec's command runs and the runtime's own process is in the container, where it will block. A process
 * of an earlier command that was killed may still be there for a moment, so the cgroup alone does not tell.
 */
async function isInside(id: string, execId = 'hangs'): Promise<void> {
  const { cgroup } = real.guest.container(id);
  const { commands } = real.guest.context;
  while (!commands.runs(id, execId) || processesOf(cgroup).length < 2) await settled();
}

const pause = Symbol('pending');
const isPending = async (promise: Promise<unknown>): Promise<boolean> =>
  (await Promise.race([promise.catch(() => undefined), settled().then(() => pause)])) === pause;

/** The account files that the runtime's exec reads. */
const accountFiles = runtimeName === 'crun' ? ['passwd'] : ['passwd', 'group'];

for (const name of accountFiles) {
  test(`an exec that /etc/${name} blocks affects only its own container, until that is removed`, {
    skip,
  }, async () => {
    await settled();
    const before = real.traces();
    const { id } = await runWithFifo(name);
    const hanging = exec(id, 'hangs');
    const failed = assert.rejects(hanging, { kind: 'precondition', message: /the container was removed/ });
    await isInside(id);
    const behind = assert.rejects(exec(id, 'behind'), { message: /the container was removed/ });
    const other = await real.run(['sleep', '1000']);
    await exec(other, 'e');
    assert.equal(await real.wait(other, 'e'), 0);
    await real.remove(other);
    await listInterfaces(real.guest);
    assert.ok(await isPending(hanging));
    await real.remove(id);
    await Promise.all([failed, behind]);
    await settled();
    rmSync(join(real.kata, 'shared/containers'), { recursive: true });
    real.makeRootfs();
    assert.deepEqual(real.traces(), before);
  });
}

test('a blocked exec is ended after its time limit and leaves nothing; the next one can succeed', {
  skip,
}, async () => {
  const { id, fifo } = await runWithFifo();
  const { cgroup } = real.guest.container(id);
  await assert.rejects(exec(id, 'hangs'), {
    kind: 'deadline',
    message:
      /^(?:runc|crun) exec did not end within 10 seconds and was killed: a file of container .* blocks it; help:/,
  });
  while (processesOf(cgroup).length > 1) await settled();
  rmSync(fifo);
  await exec(id, 'hangs');
  assert.equal(await real.wait(id, 'hangs'), 0);
  await real.remove(id);
});

test('SIGKILL to a blocked exec, or to its container, ends it at once', { skip }, async () => {
  const { id } = await runWithFifo();
  for (const [execId, to] of [
    ['one', 'one'],
    ['two', ''],
  ] as const) {
    const failed = assert.rejects(exec(id, execId), { kind: 'precondition', message: /it was killed/ });
    await isInside(id, execId);
    await signalProcess(real.guest, { containerId: id, execId: to, signal: 9 });
    await failed;
  }
  assert.equal(await real.wait(id), 137);
  await real.remove(id);
});

test('the deadline of the call ends a blocked exec', { skip }, async () => {
  const { id } = await runWithFifo();
  const caller = new AbortController();
  const guest = real.guest.forCall({
    check: () => undefined,
    begin: () => Promise.resolve(),
    signal: caller.signal,
  });
  const failed = assert.rejects(exec(id, 'hangs', guest), { kind: 'deadline', message: /deadline passed/ });
  await isInside(id);
  caller.abort();
  await failed;
  await real.remove(id);
});

test('a root whose /etc/passwd is a FIFO is refused at once, and nothing is left', { skip }, async () => {
  await settled();
  const before = real.traces();
  const root = ownRoot();
  makeFifo(join(root, 'etc/passwd'));
  const id = basename(dirname(root));
  const spec = { ...real.spec(['true']), root: { path: root } };
  await assert.rejects(
    createContainer(real.guest, { id, execId: id, spec, storages: [], sandboxPidns: false }),
    { kind: 'refused', message: /^\/etc\/passwd of the container is a FIFO/ },
  );
  await settled();
  rmSync(dirname(root), { recursive: true });
  assert.deepEqual(real.traces(), before);
});

test('a removal cancels a create or start that blocks in a file that could not be checked', {
  skip,
}, async () => {
  await settled();
  const before = real.traces();
  const root = ownRoot();
  // In the image the link leads to a file; in the container it crosses a volume and leads to a FIFO.
  const volume = join(real.kata, 'shared/containers', `volume-${real.id()}`);
  for (const directory of [join(root, 'data'), volume]) mkdirSync(directory);
  writeFileSync(join(root, 'users'), '');
  symlinkSync('/users', join(root, 'data/users'));
  symlinkSync('/data/users', join(root, 'etc/passwd'));
  makeFifo(join(volume, 'users'));
  const id = basename(dirname(root));
  const plain = real.spec(['sleep', '1000']);
  const mount = { destination: '/data', type: 'bind', source: volume, options: ['rbind'] };
  const spec = { ...plain, root: { path: root }, mounts: [...(plain.mounts ?? []), mount] };
  const hanging = createContainer(real.guest, { id, execId: id, spec, storages: [], sandboxPidns: false });
  const failed = assert.rejects(
    // Depending on its version the runtime blocks in create or in start.
    hanging.then(() => startContainer(real.guest, id)),
    { kind: 'precondition', message: /the container was removed/ },
  );
  assert.ok(await isPending(failed));
  assert.equal(real.guest.containerStatus(id)?.state, 'created');
  const other = await real.run(['true']);
  assert.equal(await real.wait(other), 0);
  await real.remove(other);
  await removeContainer(real.guest, { id, timeoutSeconds: 0 });
  await failed;
  assert.equal(real.guest.containerStatus(id), undefined);
  await settled();
  for (const directory of [dirname(root), volume]) rmSync(directory, { recursive: true });
  assert.deepEqual(real.traces(), before);
});

test('the sandbox is destroyed at once, also with blocked commands', { skip }, async () => {
  const guest = real.guest;
  for (const id of guest.containers.keys()) await real.remove(id);
  await createSandbox(guest, { sandboxId: 'pod', hostname: '', dns: [], storages: [] });
  const hanging = await Promise.all([runWithFifo(), runWithFifo(accountFiles.at(-1))]);
  const failed = hanging.map(({ id }) => assert.rejects(exec(id, 'hangs'), { message: /was destroyed/ }));
  await Promise.all(hanging.map(({ id }) => isInside(id)));
  await destroySandbox(guest);
  await Promise.all(failed);
  assert.equal(guest.containers.size, 0);
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8');
  assert.equal(children.trim(), '');
  assert.ok(!existsSync(join(real.kata, 'shared')));
  real.makeRootfs();
});
