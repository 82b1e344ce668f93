import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { At, loadSyscalls, Open } from '../index.js';

const kernel = loadSyscalls();

test('times of a link, attributes, and names of a directory as bytes', (context) => {
  const path = mkdtempSync(join(tmpdir(), 'attributes-'));
  context.after(() => rmSync(path, { recursive: true }));
  symlinkSync('nowhere', join(path, 'link'));
  const fd = kernel.openat(At.Cwd, path, Open.ReadOnly | Open.Directory);
  kernel.utimensat(fd, 'link', { seconds: -2, nanoseconds: 123_456_789 }, At.SymlinkNoFollow);
  const found = lstatSync(join(path, 'link'), { bigint: true });
  assert.equal(found.mtimeNs, -2_000_000_000n + 123_456_789n);
  assert.equal(found.atimeNs, found.mtimeNs);
  assert.throws(() => kernel.utimensat(fd, 'link', { seconds: 0, nanoseconds: 0 }, 0), { code: 'ENOENT' });
  assert.throws(() => kernel.fsetxattr(fd, 'nothing', new Uint8Array(0)), {
    code: 'ENOTSUP',
    path: 'nothing',
  });
  const directory = Buffer.from(join(path, 'many'));
  mkdirSync(directory);
  const names = Array.from({ length: 3000 }, (_, index) =>
    Buffer.from([0xff, ...Buffer.from(`name-${index}`)]),
  );
  for (const name of names) writeFileSync(Buffer.concat([directory, Buffer.from('/'), name]), '');
  const many = kernel.openat(fd, 'many', Open.ReadOnly | Open.Directory);
  const read = kernel.readDirectory(many).map((name) => Buffer.from(name).toString('latin1'));
  assert.deepEqual(read.sort(), names.map((name) => name.toString('latin1')).sort());
  assert.throws(() => kernel.readDirectory(0), { syscall: 'getdents64' });
  for (const each of [many, fd]) kernel.close(each);
});
