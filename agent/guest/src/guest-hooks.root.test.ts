import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createSandbox, destroySandbox } from './perform/sandbox.js';
import { RealGuest, skip } from './testing/real-guest.js';

let real: RealGuest;
let directory: string;
before(async () => {
  if (skip !== false) return;
  directory = mkdtempSync(join(tmpdir(), 'kata-hooks-'));
  real = await RealGuest.open({ hooks: 'allow' });
});
after(async () => {
  if (skip !== false) return;
  await real.close();
  rmSync(directory, { recursive: true });
});

function program(path: string, text: string, mode = 0o755): void {
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, mode);
}

async function withHooks(guestHookPath: string, body: () => Promise<void>): Promise<void> {
  await createSandbox(real.guest, { sandboxId: 's', hostname: '', dns: [], storages: [], guestHookPath });
  real.makeRootfs();
  try {
    await body();
  } finally {
    await destroySandbox(real.guest);
    real.makeRootfs();
  }
}

test('hooks of the guest image run for each container, in the order of their names', { skip }, async () => {
  const hooks = join(directory, 'hooks');
  const output = join(directory, 'output');
  for (const kind of ['prestart', 'poststart', 'poststop']) {
    mkdirSync(join(hooks, kind), { recursive: true });
    for (const name of ['20-second', '10-first'])
      program(join(hooks, kind, name), `echo "$(basename $0) $1" >> ${output}; cat > /dev/null`);
  }
  program(join(hooks, 'prestart', 'not-executable'), `echo wrong >> ${output}`, 0o644);
  program(join(hooks, 'prestart', 'world-writable'), `echo wrong >> ${output}`, 0o777);
  program(join(hooks, 'prestart', 'not-of-root'), `echo wrong >> ${output}`);
  chownSync(join(hooks, 'prestart', 'not-of-root'), 1000, 0);
  symlinkSync('10-first', join(hooks, 'prestart', 'link'));
  await withHooks(hooks, async () => {
    const id = await real.run(['true']);
    assert.equal(await real.wait(id), 0);
    await real.remove(id);
  });
  const lines = readFileSync(output, 'utf8').trimEnd().split('\n');
  const expected = ['prestart', 'poststart', 'poststop'].flatMap((kind) => [
    `10-first ${kind}`,
    `20-second ${kind}`,
  ]);
  assert.deepEqual(lines, expected);
  assert.equal(real.log.filter((line) => line.includes('is ignored')).length, 4);
});

test('a hook of the guest runs after those of the container of its kind, and before the next kind', {
  skip,
}, async () => {
  const [hooks, output] = [join(directory, 'beside'), join(directory, 'beside-output')];
  for (const kind of ['prestart', 'poststart', 'poststop']) {
    mkdirSync(join(hooks, kind), { recursive: true });
    program(join(hooks, kind, 'hook'), `echo "guest's $1" >> ${output}; cat > /dev/null`);
  }
  const own = (kind: string) => ({
    path: '/bin/sh',
    args: ['sh', '-c', `echo "own ${kind}" >> ${output}; cat > /dev/null`],
  });
  await withHooks(hooks, async () => {
    const ownHooks = { prestart: [own('prestart')], poststart: [own('poststart')] };
    const spec = { ...real.spec(['true']), hooks: ownHooks };
    const id = await real.run([], { spec });
    assert.equal(await real.wait(id), 0);
    await real.remove(id);
  });
  assert.deepEqual(readFileSync(output, 'utf8').trimEnd().split('\n'), [
    'own prestart',
    "guest's prestart",
    'own poststart',
    "guest's poststart",
    "guest's poststop",
  ]);
});

test('hooks from a directory the host can write are refused; a missing directory is not an error', {
  skip,
}, async () => {
  for (const [path, kind] of [
    [join(real.kata, 'shared/containers'), 'refused'],
    ['hooks', 'invalid'],
  ] as const) {
    mkdirSync(join(real.kata, 'shared/containers'), { recursive: true });
    await assert.rejects(
      withHooks(path, async () => undefined),
      { kind },
      path,
    );
  }
  await withHooks(join(directory, 'none'), async () => {
    const id = await real.run(['true']);
    assert.equal(await real.wait(id), 0);
    await real.remove(id);
  });
});

test('a startContainer hook of the spec, as runtime-rs forwards it, runs in the container', {
  skip,
}, async () => {
  const hook = { path: '/bin/sh', args: ['sh', '-c', 'echo hooked > /tmp/by-hook'] };
  const spec = { ...real.spec(['cat', '/tmp/by-hook']), hooks: { startContainer: [hook] } };
  const id = await real.run([], { spec });
  assert.equal((await real.readAll(id)).toString(), 'hooked\n');
  await real.remove(id);
  assert.ok(!existsSync('/tmp/by-hook'));
});
