import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { CreateContainer } from './request/actions.js';
import { RealGuest, settled, skip } from './testing/real-guest.js';
import {
  closeStdin,
  execProcess,
  readStream,
  resizeTerminal,
  signalProcess,
  writeStdin,
} from './perform/processes.js';
import {
  createContainer,
  pauseContainer,
  resumeContainer,
  startContainer,
  statsContainer,
  updateContainer,
} from './perform/containers.js';
import { nextOomEvent } from './perform/sandbox.js';

let real: RealGuest;
before(async () => {
  if (skip === false) real = await RealGuest.open();
});
after(async () => {
  if (skip === false) await real.close();
});

test('a container runs, writes output and exits with its code', { skip }, async () => {
  const id = await real.run(['sh', '-c', 'echo out; echo err >&2; exit 7']);
  const [stdout, stderr] = await Promise.all([real.readAll(id), real.readAll(id, 'stderr')]);
  assert.equal(stdout.toString(), 'out\n');
  assert.equal(stderr.toString(), 'err\n');
  assert.equal(await real.wait(id), 7);
  assert.equal(await real.wait(id), 7, 'the exit code is kept for later calls');
  await real.remove(id);
  await assert.rejects(real.wait(id), { kind: 'invalid', message: /Invalid container id/ });
});

test('10 MiB pass through stdin and stdout unchanged', { skip }, async () => {
  const id = await real.run(['cat']);
  const sent = randomBytes(10 * 1024 * 1024);
  const ref = { containerId: id, execId: '' };
  const writing = (async () => {
    for (let at = 0; at < sent.length; at += 100_000) {
      await writeStdin(real.guest, { ...ref, data: sent.subarray(at, at + 100_000) });
    }
    await writeStdin(real.guest, { ...ref, data: new Uint8Array(0) });
  })();
  const received = await real.readAll(id);
  await writing;
  assert.equal(received.length, sent.length);
  assert.equal(digest(received), digest(sent));
  assert.equal(await real.wait(id), 0);
  await real.remove(id);
});

test('concurrent reads are answered in order', { skip }, async () => {
  const id = await real.run(['cat']);
  const read = () =>
    readStream(real.guest, { containerId: id, execId: '', stream: 'stdout', length: 3 }, real);
  const [first, second] = [read(), read()];
  await writeStdin(real.guest, { containerId: id, execId: '', data: Buffer.from('abcdef') });
  assert.deepEqual(
    [Buffer.from(await first).toString(), Buffer.from(await second).toString()],
    ['abc', 'def'],
  );
  await real.remove(id);
});

test('a descendant that keeps the pipe open does not delay the end of file', {
  skip,
}, async () => {
  const id = await real.run(['sh', '-c', 'sleep 1000 & echo last words; exit 3'], {});
  const exec = { containerId: id, execId: 'x' };
  assert.equal((await real.readAll(id)).toString(), 'last words\n');
  assert.equal(await real.wait(id), 3);
  await real.remove(id);
  const other = await real.run(['sleep', '1000']);
  await execProcess(real.guest, {
    ...exec,
    containerId: other,
    process: real.process(['sh', '-c', 'sleep 1000 & head -c 60000 /dev/zero; exit 4']),
  });
  assert.equal(await real.wait(other, 'x'), 4);
  assert.equal(
    (await real.readAll(other, 'stdout', 'x')).length,
    60_000,
    'what was in the pipe at the exit is not lost',
  );
  await real.remove(other);
});

test('an exec has its own code, streams and id', { skip }, async () => {
  const id = await real.run(['sleep', '1000']);
  const process = real.process(['sh', '-c', 'echo from exec; cat >&2; exit 9']);
  await execProcess(real.guest, { containerId: id, execId: 'e1', process });
  await assert.rejects(execProcess(real.guest, { containerId: id, execId: 'e1', process }), {
    kind: 'exists',
  });
  await writeStdin(real.guest, { containerId: id, execId: 'e1', data: Buffer.from('to stderr') });
  await closeStdin(real.guest, { containerId: id, execId: 'e1' });
  assert.equal((await real.readAll(id, 'stdout', 'e1')).toString(), 'from exec\n');
  assert.equal((await real.readAll(id, 'stderr', 'e1')).toString(), 'to stderr');
  assert.deepEqual(await Promise.all([real.wait(id, 'e1'), real.wait(id, 'e1')]), [9, 9]);
  await assert.rejects(real.wait(id, 'e2'), { kind: 'not-found', message: /process not found/ });
  await real.remove(id);
});

test('an exec has no_new_privs if its container has, even if the request omits it', {
  skip,
}, async () => {
  const script =
    'while read name value; do case $name in NoNewPrivs:) echo $value;; esac; done < /proc/self/status';
  for (const noNewPrivileges of [true, false]) {
    const id = await real.run(['sleep', '1000'], { process: { noNewPrivileges } });
    await execProcess(real.guest, {
      containerId: id,
      execId: 'e',
      process: real.process(['sh', '-c', script]),
    });
    const output = (await real.readAll(id, 'stdout', 'e')).toString();
    assert.equal(output, noNewPrivileges ? '1\n' : '0\n');
    await real.remove(id);
  }
});

test('an exec of a missing program fails and leaves nothing', { skip }, async () => {
  const id = await real.run(['sleep', '1000']);
  const before = real.traces();
  await assert.rejects(
    execProcess(real.guest, { containerId: id, execId: 'no', process: real.process(['/bin/nothing']) }),
    { kind: 'invalid', message: /\/bin\/nothing/ },
  );
  // A child of crun may end after it.
  for (let look = 0; look < 100 && real.traces().processes.length > before.processes.length; look += 1)
    await delay(10);
  await settled();
  assert.deepEqual(real.traces(), before);
  await real.remove(id);
});

test('signals: SIGTERM becomes SIGKILL for a first process that does not handle it', { skip }, async () => {
  const deaf = await real.run(['sleep', '1000']);
  await signalProcess(real.guest, { containerId: deaf, execId: deaf, signal: 15 });
  assert.equal(await real.wait(deaf), 137);
  await assert.rejects(signalProcess(real.guest, { containerId: deaf, execId: deaf, signal: 15 }), {
    kind: 'not-found',
    message: /ESRCH: No such process/,
  });
  await signalProcess(real.guest, { containerId: deaf, execId: '', signal: 9 });
  await real.remove(deaf);

  const unnoticed = await real.run(['true']);
  await real.guest.container(unnoticed).first.exit;
  await signalProcess(real.guest, { containerId: unnoticed, execId: '', signal: 15 });
  await real.wait(unnoticed);
  await assert.rejects(signalProcess(real.guest, { containerId: unnoticed, execId: '', signal: 15 }), {
    kind: 'not-found',
  });
  await real.remove(unnoticed);

  const polite = await real.run(['sh', '-c', 'trap "exit 5" TERM; echo ready; while :; do sleep 0.05; done']);
  await real.readUntil('ready', { containerId: polite, execId: '' });
  await signalProcess(real.guest, { containerId: polite, execId: '', signal: 15 });
  assert.equal(await real.wait(polite), 5);
  await real.remove(polite);
});

test('SIGKILL to the first process kills all processes of a container, also of a paused one', {
  skip,
}, async () => {
  const id = await real.run(['sleep', '1000']);
  await execProcess(real.guest, { containerId: id, execId: 'e', process: real.process(['sleep', '1000']) });
  await pauseContainer(real.guest, id);
  await assert.rejects(pauseContainer(real.guest, id), { kind: 'precondition' });
  await signalProcess(real.guest, { containerId: id, execId: '', signal: 9 });
  assert.deepEqual(await Promise.all([real.wait(id), real.wait(id, 'e')]), [137, 137]);
  await real.remove(id);
});

test('a container is paused and resumed', { skip }, async () => {
  const id = await real.run(['cat']);
  const ref = { containerId: id, execId: '' };
  await pauseContainer(real.guest, id);
  assert.ok(real.isFrozen());
  await writeStdin(real.guest, { ...ref, data: Buffer.from('later') });
  await resumeContainer(real.guest, id);
  assert.ok(!real.isFrozen());
  assert.equal(await real.readUntil('later', ref), 'later');
  await assert.rejects(resumeContainer(real.guest, id), { kind: 'precondition' });
  await real.remove(id);
});

test('stats and update', { skip }, async () => {
  const id = await real.run(['sh', '-c', 'echo ready; exec cat']);
  // Before that the process is the runtime, which has threads.
  await real.readUntil('ready', { containerId: id, execId: '' });
  const limit = 64n * 1024n * 1024n;
  await updateContainer(real.guest, { id, resources: { memory: { limit }, pids: { limit: 77 } } });
  const stats = await statsContainer(real.guest, id);
  assert.equal(stats.memory.usage.limit, limit);
  assert.equal(stats.pids.limit, 77n);
  assert.equal(stats.pids.current, 1n);
  assert.ok(stats.cpu.usage.total > 0n);
  assert.ok(stats.memory.usage.usage > 0n);
  await real.remove(id);
});

test('a terminal: one stream, a resize that the program sees, end of file by Control-D', {
  skip,
}, async () => {
  // A signal interrupts busybox's `read`: this is not an end of file.
  const script = [
    'stty size; echo err >&2; trap "resized=1; stty size" WINCH',
    'while read line || [ "$resized" = 1 ]; do resized=0; echo "got $line"; done; exit 6',
  ].join('; ');
  const id = await real.run(['sh', '-c', script], {
    process: { terminal: true, consoleSize: { height: 24, width: 80 } },
  });
  const ref = { containerId: id, execId: '' };
  assert.match(await real.readUntil('err', ref), /24 80\r\nerr/);
  assert.equal((await readStream(real.guest, { ...ref, stream: 'stderr', length: 10 }, real)).length, 0);
  await writeStdin(real.guest, { ...ref, data: Buffer.from('hello\n') });
  await real.readUntil('got hello', ref);
  await resizeTerminal(real.guest, { ...ref, rows: 50, columns: 132 });
  await real.readUntil('50 132', ref);
  await writeStdin(real.guest, { ...ref, data: Buffer.from('again\n') });
  await real.readUntil('got again', ref);
  await closeStdin(real.guest, ref);
  await real.readAll(id);
  assert.equal(await real.wait(id), 6);
  await real.remove(id);
});

test('an exec with a terminal; a process without one cannot be resized', { skip }, async () => {
  const id = await real.run(['sleep', '1000']);
  const process = real.process(['sh', '-c', 'test -t 0 && echo terminal'], { terminal: true });
  await execProcess(real.guest, { containerId: id, execId: 'e', process });
  assert.equal((await real.readAll(id, 'stdout', 'e')).toString(), 'terminal\r\n');
  assert.equal(await real.wait(id, 'e'), 0);
  await assert.rejects(resizeTerminal(real.guest, { containerId: id, execId: '', rows: 1, columns: 1 }), {
    kind: 'precondition',
    message: /no tty/,
  });
  await real.remove(id);
});

test('an OOM kill is an event', { skip }, async () => {
  const id = real.id();
  const base = real.spec(['sh', '-c', 'dd if=/dev/zero of=/tmp/big bs=1M count=200']);
  const spec = {
    ...base,
    mounts: [
      ...(base.mounts ?? []),
      { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['size=300m'] },
    ],
    linux: { ...base.linux, resources: { memory: { limit: 20_000_000 } } },
  };
  const event = nextOomEvent(real.guest, real.signal);
  await createContainer(real.guest, { id, execId: id, spec, storages: [], sandboxPidns: false });
  await startContainer(real.guest, id);
  assert.equal(await event, id);
  assert.equal(await real.wait(id), 137);
  await real.remove(id);
});

test('a container leaves nothing, however it ends', { skip }, async () => {
  await settled();
  const before = real.traces();
  const ended = await real.run(['true']);
  await real.wait(ended);
  const running = await real.run(['sh', '-c', 'sleep 1000 & sleep 1000']);
  await execProcess(real.guest, {
    containerId: running,
    execId: 'e',
    process: real.process(['sleep', '1000']),
  });
  const reading = real.readAll(running);
  const created = real.id();
  const spec = real.spec(['true']);
  await createContainer(real.guest, { id: created, execId: '', spec, storages: [], sandboxPidns: false });
  for (const id of [ended, running, created]) await real.remove(id);
  assert.equal((await reading).length, 0, 'a read that waits ends with the container');
  await settled();
  assert.deepEqual(real.traces(), before);
});

test('after shutdown has begun, new changes are refused and waiting ones are cancelled', {
  skip,
}, async () => {
  await settled();
  const before = real.traces().processes;
  const ending = await RealGuest.open({ hotplugTimeout: 3600 });
  const spec = ending.spec(['true']);
  const create = (id: string, devices: CreateContainer['devices'] = []): Promise<void> =>
    createContainer(ending.guest, { id, execId: id, spec, storages: [], devices, sandboxPidns: false });
  const disk = { id: '1f/1e', type: 'blk', vmPath: '', containerPath: '/dev/data', options: [] };
  const made = assert.rejects(create('made'), { kind: 'precondition', message: /was destroyed/ });
  const waits = [assert.rejects(create('waits', [disk]), { kind: 'precondition', message: /was destroyed/ })];
  const closed = ending.close();
  waits.push(assert.rejects(create('waits-later', [disk]), { message: /cancelled: the (agent|sandbox)/ }));
  await assert.rejects(create('late'), { kind: 'precondition', message: 'the agent is shutting down' });
  await made;
  await Promise.all([closed, ...waits]);
  assert.equal(ending.guest.containers.size, 0);
  assert.deepEqual(real.traces().processes, before);
});

test('32 containers at once', { skip }, async () => {
  await settled();
  const before = real.traces();
  const ids = await Promise.all(
    Array.from({ length: 32 }, (_, index) => real.run(['sh', '-c', `echo ${index}; exit ${index}`])),
  );
  const codes = await Promise.all(ids.map((id) => real.wait(id)));
  const outputs = await Promise.all(ids.map(async (id) => (await real.readAll(id)).toString()));
  assert.deepEqual(codes, [...ids.keys()]);
  assert.deepEqual(
    outputs,
    [...ids.keys()].map((index) => `${index}\n`),
  );
  await Promise.all(ids.map((id) => real.remove(id)));
  await settled();
  assert.deepEqual(real.traces(), before);
});

test('block device nodes cannot be created in a container', { skip }, async () => {
  const id = await real.run([
    'sh',
    '-c',
    'mknod /tmp/b b 254 0 2>/dev/null && echo made; mknod /tmp/c c 1 3 && echo char',
  ]);
  assert.equal((await real.readAll(id)).toString(), 'char\n');
  await real.remove(id);
});

test('only three descriptors reach a container', { skip }, async () => {
  const id = await real.run(['sh', '-c', 'ls /proc/self/fd']);
  // Descriptor 3 is the directory that ls reads.
  assert.deepEqual((await real.readAll(id)).toString().split(/\s+/).filter(Boolean), ['0', '1', '2', '3']);
  await real.remove(id);
});

function digest(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
