import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { mergeUsr, packageNameIn } from './packages.js';

describe("Debian 12's packages", () => {
  it('have the library names without t64', () => {
    assert.equal(packageNameIn('12', 'libelf1t64'), 'libelf1');
    assert.equal(packageNameIn('12', 'libmnl0'), 'libmnl0');
    assert.equal(packageNameIn('13', 'libelf1t64'), 'libelf1t64');
    assert.equal(packageNameIn(undefined, 'libelf1t64'), 'libelf1t64');
  });

  it('have their files in /usr after they are merged', () => {
    const directory = mkdtempSync(join(tmpdir(), 'kata-merged-'));
    try {
      for (const name of ['lib/modules/6.1', 'sbin', 'usr/sbin', 'etc'])
        mkdirSync(join(directory, name), { recursive: true });
      writeFileSync(join(directory, 'lib/modules/6.1/a.ko'), '');
      writeFileSync(join(directory, 'sbin/ip'), '');
      symlinkSync('ip', join(directory, 'sbin/link'));
      writeFileSync(join(directory, 'usr/sbin/runc'), '');
      mergeUsr(directory);
      assert.deepEqual(readdirSync(directory).sort(), ['etc', 'usr']);
      assert.deepEqual(readdirSync(join(directory, 'usr/sbin')).sort(), ['ip', 'link', 'runc']);
      assert.equal(readlinkSync(join(directory, 'usr/sbin/link')), 'ip');
      assert.deepEqual(readdirSync(join(directory, 'usr/lib/modules/6.1')), ['a.ko']);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
