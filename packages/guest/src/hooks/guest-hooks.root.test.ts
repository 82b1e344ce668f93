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
import { createSandbox } from '../perform/create-sandbox.js';
import { destroySandbox } from '../perform/destroy-sandbox.js';
import { RealGuest, skip } from '../testing/real-guest.js';

let real: RealGuest;
let folder: string;
before(async () => {
  if (skip !== false) return;
  folder = mkdtempSync(join(tmpdir(), 'kata-hooks-'));
  real = await RealGuest.open({ hooks: 'allow' });
});
after(async () => {
  if (skip !== false) return;
  await real.close();
  rmSync(folder, { recursive: true });
});

function program(path: string, text: string, mode = 0o755): void {
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, mode);
}

async function withHooks(guestHookPath: string, deed: () => Promise<void>): Promise<void> {
  await createSandbox(real.guest, { sandboxId: 's', hostname: '', dns: [], storages: [], guestHookPath });
  real.makeRootfs();
  try {
    await deed();
  } finally {
    await destroySandbox(real.guest);
    real.makeRootfs();
  }
}

test('hooks of the guest’s image run for each container, in their order', { skip }, async () => {
  const hooks = join(folder, 'hooks');
  const told = join(folder, 'told');
  for (const kind of ['prestart', 'poststart', 'poststop']) {
    mkdirSync(join(hooks, kind), { recursive: true });
    for (const name of ['20-second', '10-first'])
      program(join(hooks, kind, name), `echo "$(basename $0) $1" >> ${told}; cat > /dev/null`);
  }
  program(join(hooks, 'prestart', 'no-program'), `echo wrong >> ${told}`, 0o644);
  program(join(hooks, 'prestart', 'everybodys'), `echo wrong >> ${told}`, 0o777);
  program(join(hooks, 'prestart', 'somebodys'), `echo wrong >> ${told}`);
  chownSync(join(hooks, 'prestart', 'somebodys'), 1000, 0);
  symlinkSync('10-first', join(hooks, 'prestart', 'link'));
  await withHooks(hooks, async () => {
    const id = await real.run(['true']);
    assert.equal(await real.wait(id), 0);
    await real.remove(id);
  });
  const lines = readFileSync(told, 'utf8').trimEnd().split('\n');
  const expected = ['prestart', 'poststart', 'poststop'].flatMap((kind) => [
    `10-first ${kind}`,
    `20-second ${kind}`,
  ]);
  assert.deepEqual(lines, expected);
  assert.equal(real.log.filter((line) => line.includes('is left out')).length, 4);
});

test('hooks from where the host writes are refused, and there need not be any', { skip }, async () => {
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
  await withHooks(join(folder, 'none'), async () => {
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
