import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { SharedMount } from '../request/actions.js';
import { execProcess } from '../perform/processes.js';
import { RealGuest, settled, skip } from '../testing/real-guest.js';

let real: RealGuest;
before(async () => {
  if (skip === false) real = await RealGuest.open();
});
after(async () => {
  if (skip === false) await real.close();
});

const share = (more: Partial<SharedMount> = {}): SharedMount => ({
  name: 'fuse',
  sourceContainer: 'server',
  sourcePath: '/tmp/served',
  destinationContainer: 'client',
  destinationPath: '/mnt/of-server',
  ...more,
});

/** A container named `server`, which makes a mount after a moment. */
async function server(): Promise<string> {
  const script =
    'mkdir -p /tmp/served; sleep 0.3; mount -t tmpfs t /tmp/served; echo hello > /tmp/served/file';
  const spec = real.spec(['sh', '-c', `${script}; exec sleep 1000`]);
  const annotations = { name: 'server' };
  return real.run([], { spec: { ...spec, annotations } });
}

test('a mount that one container makes is visible in one other container only', { skip }, async () => {
  const source = await server();
  const client = await real.run(['sh', '-c', 'cat /mnt/of-server/file'], { sharedMounts: [share()] });
  assert.equal((await real.readAll(client)).toString(), 'hello\n');
  const byId = await real.run(['cat', '/mnt/of-server/file'], {
    sharedMounts: [share({ sourceContainer: source })],
  });
  assert.equal((await real.readAll(byId)).toString(), 'hello\n');
  for (const id of [client, byId, source]) await real.remove(id);
});

test('a wait for a mount does not block changes of the containers involved', { skip }, async () => {
  const script = 'mkdir -p /tmp/served; until cat /tmp/go; do sleep 0.05; done; mount -t tmpfs t /tmp/served';
  const source = await real.run(['sh', '-c', `${script}; exec sleep 1000`]);
  const client = real.run(['true'], { sharedMounts: [share({ sourceContainer: source })] });
  await settled();
  assert.match(real.log.at(-1) ?? '', /waiting for a mount at "\/tmp\/served" of container/);
  const touch = real.process(['touch', '/tmp/go']);
  await execProcess(real.guest, { containerId: source, execId: 'touch', process: touch });
  for (const id of [await client, source]) await real.remove(id);
});

test('mounts that cannot be shared are refused and leave nothing', { skip }, async () => {
  const source = await server();
  // The mount exists by then.
  await real.remove(await real.run(['true'], { sharedMounts: [share()] }));
  const before = real.traces();
  const wrong: readonly (readonly [SharedMount, object])[] = [
    [share({ sourceContainer: 'unknown' }), { kind: 'precondition', message: /"unknown" is not running/ }],
    [share({ destinationPath: '/proc/sys' }), { kind: 'refused', message: /"\/proc\/sys"/ }],
    [share({ destinationPath: '/./proc/sys' }), { kind: 'refused', message: /mounts over .* are refused/ }],
    [share({ destinationPath: '//.//dev' }), { kind: 'refused', message: /mounts over .* are refused/ }],
    [share({ destinationPath: '/mnt/../etc' }), { kind: 'refused' }],
    [share({ destinationPath: '/' }), { kind: 'refused' }],
    [share({ destinationPath: '/bin/sh' }), { kind: 'refused', message: /symbolic link/ }],
  ];
  for (const [mount, expected] of wrong)
    await assert.rejects(real.run(['true'], { sharedMounts: [mount] }), expected, JSON.stringify(mount));
  await settled();
  assert.deepEqual(real.traces(), before);
  await real.remove(source);
});
