import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { loadSyscalls, mounts, unmountTree } from '@kata-agent/linux';
import type { CreateContainer } from '../request/actions.js';
import { closedAccess } from '../guest-access.js';
import type { OciMount } from '../request/oci-spec.js';
import { createContainer, startContainer } from '../perform/containers.js';
import { RealGuest, settled, skip, type Traces } from '../testing/real-guest.js';

// Mounts whose destination is in another bind mount, by name or through a link: the agent attaches them (S29).

let real: RealGuest;
let atRest: Traces;
before(async () => {
  if (skip === false) real = await RealGuest.open({ access: closedAccess });
});
after(async () => {
  if (skip === false) await real.close();
});
beforeEach(() => {
  if (skip !== false) return;
  real.makeRootfs();
  for (const name of ['outer', 'inner', 'third']) fill(`${name}/${name}`, name);
  atRest = real.traces();
});
afterEach(async () => {
  if (skip !== false) return;
  for (const id of real.guest.containers.keys()) await real.remove(id);
  await settled();
  const now = real.traces();
  assert.deepEqual({ ...now, files: [] }, { ...atRest, files: [] });
  unmountTree(loadSyscalls(), join(real.kata, 'shared/containers'));
  rmSync(join(real.kata, 'shared'), { recursive: true });
});

function volume(path: string): string {
  return join(real.kata, 'shared/containers', path);
}

function fill(path: string, text: string): void {
  mkdirSync(dirname(volume(path)), { recursive: true });
  writeFileSync(volume(path), text);
}

const bind = (source: string, destination: string, ...options: readonly string[]): OciMount => ({
  destination,
  type: 'bind',
  source: volume(source),
  options: options.length === 0 ? ['rbind', 'rw'] : options,
});

function request(script: string, more: readonly OciMount[]): CreateContainer {
  const id = real.id();
  const spec = real.spec(['/bin/sh', '-c', script]);
  return {
    id,
    execId: id,
    spec: { ...spec, mounts: [...(spec.mounts ?? []), ...more] },
    storages: [],
    sandboxPidns: false,
  };
}

async function output(script: string, more: readonly OciMount[]): Promise<string> {
  const action = request(`(${script}) 2>&1`, more);
  await createContainer(real.guest, action);
  await startContainer(real.guest, action.id);
  return (await real.readAll(action.id)).toString();
}

test('nested mounts are visible, and missing mount points are created', { skip }, async () => {
  const three = [bind('outer', '/a'), bind('inner', '/a/b/c'), bind('third', '/a/b/c/d')];
  assert.equal(
    await output('cat /a/outer /a/b/c/inner /a/b/c/d/third; echo new > /a/b/c/d/new', three),
    'outerinnerthird',
  );
  assert.equal(readFileSync(volume('third/new'), 'utf8'), 'new\n');
  assert.deepEqual(readdirSync(volume('outer/b/c')), [], 'the volume itself has no mount');
});

test('a later mount hides earlier ones at and below its destination', { skip }, async () => {
  const hidden = [bind('outer', '/a'), bind('inner', '/a/b'), bind('third', '/a/b'), bind('third', '/a')];
  assert.equal(await output('ls /a', hidden), 'third\n');
  assert.equal(await output('ls /a/b', hidden.slice(0, 3)), 'third\n');
});

test('a file is mounted over a file, and a missing mount point is created', { skip }, async () => {
  fill('outer/there', 'old');
  const two = [bind('outer', '/a'), bind('inner/inner', '/a/there'), bind('third/third', '/a/made')];
  assert.equal(await output('cat /a/there /a/made', two), 'innerthird');
  assert.equal(readFileSync(volume('outer/there'), 'utf8'), 'old');
});

test('each mount has its own options', { skip }, async () => {
  mkdirSync(volume('outer/b'));
  const script =
    'for d in a a/b; do touch /$d/x && echo $d is writable; done; while read -r l; do echo $l; done < /proc/mounts';
  const under = (outer: readonly string[], inner: readonly string[]): Promise<string> =>
    output(script, [bind('outer', '/a', ...outer), bind('inner', '/a/b', ...inner)]);
  const readOnlyInner = await under(['bind', 'rw'], ['rbind', 'ro', 'nosuid', 'noexec', 'nodev', 'noatime']);
  assert.match(readOnlyInner, /^touch: \/a\/b\/x.*\n?/m);
  assert.match(readOnlyInner, /a is writable/);
  assert.match(readOnlyInner, / \/a\/b \S+ ro,nosuid,nodev,noexec,noatime/);
  const readOnlyOuter = await under(['rbind', 'rro', 'nosuid'], ['rbind', 'rw']);
  assert.match(readOnlyOuter, /a\/b is writable/);
  assert.doesNotMatch(readOnlyOuter, /a is writable/);
  assert.match(readOnlyOuter, / \/a \S+ ro,nosuid,/);
});

test('links of the root are followed within the root, to a mount too', { skip }, async () => {
  mkdirSync(join(real.rootfs, 'var'));
  symlinkSync('../run', join(real.rootfs, 'var/run'));
  symlinkSync('/../../../var/run/x', join(real.rootfs, 'far'));
  const token = 'run/secrets/kubernetes.io/serviceaccount';
  const one = [bind('inner', `/var/${token}`)];
  assert.equal(await output(`cat /${token}/inner`, one), 'inner');
  assert.equal(await output(`cat /${token}/inner`, [bind('outer', '/run'), ...one]), 'inner');
  assert.ok(lstatSync(volume('outer/secrets/kubernetes.io/serviceaccount')).isDirectory());
  assert.equal(await output('cat /run/x/inner', [bind('inner', '/far')]), 'inner');
});

test('a link in a volume is followed in the volume: a file over a key of a config map', {
  skip,
}, async () => {
  fill('outer/..data/key', 'of the map');
  symlinkSync('..data/key', volume('outer/key'));
  const two = [bind('outer', '/a'), bind('inner/inner', '/a/key')];
  assert.equal(await output('cat /a/key', two), 'inner');
  assert.equal(readFileSync(volume('outer/key'), 'utf8'), 'of the map');
  const readOnly = [bind('outer', '/a', 'rbind', 'ro'), bind('inner/inner', '/a/key')];
  assert.equal(await output('cat /a/key', readOnly), 'inner');
});

test('a link out of a volume is refused, and nothing is left', { skip }, async () => {
  symlinkSync('/bin', volume('outer/bin'));
  // Other tests mount as well.
  const own = (): number => mounts().filter(({ target }) => target.startsWith(real.directory)).length;
  const before = own();
  for (const [destination, link] of [
    ['/a/bin', 'path "bin" leads out of its base'],
    ['/a/bin/x', 'path "bin/x" leads out of its base'],
  ] as const)
    await assert.rejects(
      createContainer(real.guest, request('true', [bind('outer', '/a'), bind('inner', destination)])),
      { kind: 'refused', message: `mount at "${destination}": in the mount at "/a", ${link}` },
    );
  const made = [
    bind('outer', '/a'),
    bind('inner', '/a/one/two'),
    bind('third/third', '/a/three'),
    bind('inner', '/a/bin'),
  ];
  await assert.rejects(createContainer(real.guest, request('true', made)), { kind: 'refused' });
  assert.deepEqual(readdirSync(volume('outer')).sort(), ['bin', 'outer']);
  assert.equal(own(), before);
});

test('the error of a mount that cannot be made names it', { skip }, async () => {
  const rejects = (message: RegExp, ...more: readonly OciMount[]): Promise<void> =>
    assert.rejects(createContainer(real.guest, request('true', more)), { message });
  await rejects(
    /^mount at "\/a\/b": in the mount at "\/a", "b" does not exist, and that mount is read-only; help: create it in the volume$/,
    bind('outer', '/a', 'rbind', 'ro'),
    bind('inner', '/a/b'),
  );
  await rejects(
    /^mount at "\/a\/b": the mount at "\/a" is a file$/,
    bind('outer/outer', '/a'),
    bind('inner', '/a/b'),
  );
  await rejects(
    /"outer" is not a directory, unlike the source$/,
    bind('outer', '/a'),
    bind('inner', '/a/outer'),
  );
  await rejects(/"outer\/x" cannot be created/, bind('outer', '/a'), bind('inner', '/a/outer/x'));
  await rejects(
    /^mount at "\/a\/t": a mount of type tmpfs in the bind mount at "\/a" is refused; help: use a volume instead$/,
    bind('outer', '/a'),
    {
      destination: '/a/t',
      type: 'tmpfs',
      source: 'tmpfs',
      options: [],
    },
  );
  assert.deepEqual(readdirSync(volume('outer')), ['outer']);
});

test('links of the root do not lead mounts over kernel file systems', { skip }, async () => {
  symlinkSync('/proc', join(real.rootfs, 'p'));
  symlinkSync('sys', join(real.rootfs, 's'));
  symlinkSync('/', join(real.rootfs, 'top'));
  symlinkSync('loop', join(real.rootfs, 'loop'));
  const links = ['p', 's', 'top', 'loop'];
  for (const [destination, message] of [
    ['/p', /mounts over \/proc and \/sys are refused/],
    ['/p/sys', /mounts over \/proc and \/sys are refused/],
    ['/s/fs', /mounts over \/proc and \/sys are refused/],
    ['/top', /a link to the root of the container/],
    ['/loop', /too many symbolic links/],
  ] as const)
    await assert.rejects(createContainer(real.guest, request('true', [bind('inner', destination)])), {
      message,
    });
  assert.ok(!existsSync(join(real.rootfs, 'sys')));
  for (const name of links) rmSync(join(real.rootfs, name));
});
