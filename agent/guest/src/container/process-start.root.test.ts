import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { execProcess } from '../perform/processes.js';
import { RealGuest, runtimeName, settled, skip } from '../testing/real-guest.js';

let real: RealGuest;
before(async () => {
  if (skip === false) real = await RealGuest.open();
});
after(async () => {
  if (skip === false) await real.close();
});

/** Prints the pid and the session of a shell (proc_pid_stat(5)). */
const session = [
  'sh',
  '-c',
  'read pid comm state parent group session rest < /proc/$$/stat; echo $$ $session',
];

test('each process is the leader of a session of its own, without a terminal too', { skip }, async () => {
  const first = await real.run(session);
  assert.equal((await real.readAll(first)).toString(), '1 1\n');
  await real.remove(first);
  const id = await real.run(['sleep', '1000']);
  await execProcess(real.guest, { containerId: id, execId: 'e', process: real.process(session) });
  const [pid, leader] = (await real.readAll(id, 'stdout', 'e')).toString().trim().split(' ');
  assert.notEqual(pid, '1');
  assert.equal(leader, pid);
  await real.remove(id);
});

test('a working directory that is missing is created, with its parents', { skip }, async () => {
  const made = join(real.rootfs, 'made');
  assert.ok(!existsSync(made));
  const id = await real.run(['sh', '-c', 'pwd'], { process: { cwd: '/made/for/it' } });
  assert.equal((await real.readAll(id)).toString(), '/made/for/it\n');
  assert.equal(await real.wait(id), 0);
  assert.ok(existsSync(join(made, 'for/it')));
  await real.remove(id);
  rmSync(made, { recursive: true });
});

test('a memory limit below what the runtime needs is refused with help, and nothing is left', {
  skip: runtimeName === 'runc' ? skip : 'crun needs less than runc',
}, async () => {
  await settled();
  const before = real.traces();
  const { linux, ...spec } = real.spec(['true']);
  const resources = { memory: { limit: 262_144 } };
  await assert.rejects(real.run([], { spec: { ...spec, linux: { ...linux, resources } } }), {
    kind: 'precondition',
    message: /memory limit.*; help: raise the memory limit/,
  });
  await settled();
  assert.deepEqual(real.traces(), before);
});

test('an exec whose limits could not be completed before has those of its container', { skip }, async () => {
  // It came while the container was being created, so that nothing was known of it.
  // In bytes; `ulimit -c` prints blocks of 512. runc before 1.1.13 can lose RLIMIT_NOFILE.
  const rlimits = [{ type: 'RLIMIT_CORE', hard: 4096n, soft: 2048n }];
  const id = await real.run(['sleep', '1000'], { process: { rlimits } });
  const process = real.process(['sh', '-c', 'test "$(ulimit -Sc) $(ulimit -Hc)" = "4 8"']);
  await execProcess(real.guest, { containerId: id, execId: 'limits', process });
  assert.equal(await real.wait(id, 'limits'), 0);
  await real.remove(id);
});
