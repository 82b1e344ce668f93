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
import { repository } from '../harness/repository.js';

/** What the script exports; it is JavaScript. */
const { mergeUsr, packageNameIn } = (await import(`${repository}scripts/image-packages.mjs`)) as {
  readonly mergeUsr: (folder: string) => void;
  readonly packageNameIn: (release: string | undefined, name: string) => string;
};

describe('Debian 12’s packages', () => {
  it('have the names of before libraries were renamed', () => {
    assert.equal(packageNameIn('12', 'libelf1t64'), 'libelf1');
    assert.equal(packageNameIn('12', 'libmnl0'), 'libmnl0');
    assert.equal(packageNameIn('13', 'libelf1t64'), 'libelf1t64');
    assert.equal(packageNameIn(undefined, 'libelf1t64'), 'libelf1t64');
  });

  it('have their files in /usr once they are unpacked', () => {
    const folder = mkdtempSync(join(tmpdir(), 'kata-merged-'));
    try {
      for (const name of ['lib/modules/6.1', 'sbin', 'usr/sbin', 'etc'])
        mkdirSync(join(folder, name), { recursive: true });
      writeFileSync(join(folder, 'lib/modules/6.1/a.ko'), '');
      writeFileSync(join(folder, 'sbin/ip'), '');
      symlinkSync('ip', join(folder, 'sbin/link'));
      writeFileSync(join(folder, 'usr/sbin/runc'), '');
      mergeUsr(folder);
      assert.deepEqual(readdirSync(folder).sort(), ['etc', 'usr']);
      assert.deepEqual(readdirSync(join(folder, 'usr/sbin')).sort(), ['ip', 'link', 'runc']);
      assert.equal(readlinkSync(join(folder, 'usr/sbin/link')), 'ip');
      assert.deepEqual(readdirSync(join(folder, 'usr/lib/modules/6.1')), ['a.ko']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
