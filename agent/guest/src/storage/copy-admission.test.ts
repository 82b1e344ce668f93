import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMountTable } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { CopyFile } from '../request/actions.js';
import { admitCopy, admitPiece, admitReplacement, copiedPath } from './copy-admission.js';

const kata = '/run/kata-containers';
const shared = `${kata}/shared/containers`;
const inRoot = `${shared}/c/rootfs/etc/x`;

function refuseRoot(path: string): void {
  if (path === inRoot) throw new GuestError('precondition', `${path} is part of a root`);
}

const allowed: CopyFile = {
  path: `${shared}//volume/name/`,
  fileSize: 8,
  fileMode: 0o100640,
  dirMode: 0o750,
  uid: -1,
  gid: 0,
  offset: 4,
  data: Buffer.from('data'),
};

function admit(more: Partial<CopyFile>): ReturnType<typeof admitCopy> {
  return admitCopy({ action: { ...allowed, ...more }, kata, refuseRoot });
}

test('a request with several faults is refused for the first of the list', () => {
  const faults = { uid: -2, path: '/etc/x', fileMode: 0o020644, data: Buffer.from('/target'), fileSize: 1 };
  const repairs: readonly (readonly [kind: string, message: RegExp, repair: Partial<CopyFile>])[] = [
    ['invalid', /^"\/etc\/x": uid -2 is out of range$/, { uid: 0 }],
    ['refused', /^path "\/etc\/x" is not below/, { path: `${shared}/c//rootfs/./etc/x` }],
    ['precondition', /is part of a root$/, { path: `${shared}/volume/x` }],
    ['refused', /^"volume\/x" has mode 020644: only files/, { fileMode: 0o120777, data: Buffer.of(0xff) }],
    ['invalid', /^the target of link "volume\/x"/, { fileMode: 0o100644, data: Buffer.from('data') }],
    ['invalid', /^"volume\/x": 4 bytes at 4 do not fit into a file of 1$/, { fileSize: 8 }],
  ];
  let request: Partial<CopyFile> = faults;
  for (const [kind, message, repair] of repairs) {
    assert.throws(() => admit(request), { kind, message });
    request = { ...request, ...repair };
  }
  admit(request);
});

test('the path of a request that passed is below the shared directory, without slashes at its ends', () => {
  const { path, kind } = admit({});
  assert.deepEqual({ path, kind }, { path: 'volume/name', kind: 'file' });
  assert.equal(admit({ fileMode: 0o644 }).kind, 'file', 'agent-ctl sends no type');
  assert.equal(copiedPath({ path: '//a/./b//c/' }), '/a/b/c');
});

test('only a file has pieces, and only a link has a target', () => {
  const large = { fileSize: 0, data: Buffer.of(0xff) };
  assert.equal(admit({ ...large, fileMode: 0o040755 }).kind, 'directory');
  assert.equal(admit({ ...large, fileMode: 0o120777, data: Buffer.from('/x') }).kind, 'link');
  for (const target of ['', 'a\0b']) {
    const link = { fileMode: 0o120777, data: Buffer.from(target) };
    assert.throws(() => admit(link), { kind: 'invalid' });
  }
});

test('a piece after a gap, and a directory with a mount in it, are refused', () => {
  admitPiece({ path: 'x', offset: 4, size: 4 });
  assert.throws(() => admitPiece({ path: 'x', offset: 5, size: 4 }), {
    kind: 'invalid',
    message: '"x": bytes at 5 come, but only 4 are there',
  });
  const mounts = parseMountTable(`2 1 0:1 / ${shared}/x/y rw - tmpfs tmpfs rw\n`);
  admitReplacement({ path: 'z', absolute: `${shared}/z`, mounts });
  assert.throws(() => admitReplacement({ path: 'x', absolute: `${shared}/x`, mounts }), {
    kind: 'precondition',
    message: `"x" cannot be replaced: ${shared}/x/y is mounted in it`,
  });
});
