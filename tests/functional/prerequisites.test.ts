import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  debianRelease,
  packageNames,
  type Prerequisite,
  prerequisite,
} from '@kata-agent/setup/prerequisites';
import { virtiofsdCommand } from '@kata-agent/tool-vm/machine/tpm';
import { reasonOf } from '../harness/prerequisites.js';
import { repository } from '../harness/repository.js';

describe('the table of prerequisites', () => {
  const nothing = (): boolean => false;

  it('has the version of each release', () => {
    const row = (release: string): Prerequisite => prerequisite('virtiofsd', release, nothing);
    assert.equal(row('12').package, 'qemu-system-common');
    assert.deepEqual(row('12').missing, ['/usr/lib/qemu/virtiofsd']);
    for (const release of ['13', 'of no Debian']) {
      assert.equal(row(release).package, 'virtiofsd');
      assert.deepEqual(row(release).missing, ['/usr/libexec/virtiofsd']);
    }
  });

  it('names missing programs', () => {
    const row = prerequisite('e2fsprogs', '13', (what) => what === 'mkfs.ext4');
    assert.deepEqual(row.missing, ['e2fsck']);
    assert.throws(() => prerequisite('no-such-package', '13', nothing), /not in the table/);
  });

  it('matches docs/prerequisites.md', () => {
    const page = readFileSync(`${repository}docs/prerequisites.md`, 'utf8');
    for (const name of packageNames) {
      const line = new RegExp(`^\\| ${name} \\| (.*) \\|$`, 'm').exec(page)?.[1];
      assert.ok(line !== undefined, `${name} is not in docs/prerequisites.md`);
      for (const what of prerequisite(name, 'of no Debian', nothing).provides)
        if (!what.startsWith('/usr/share/gocode'))
          assert.ok(line.includes(`\`${what}\``), `${name}: ${what}`);
    }
  });

  it('a release is identified by Debian’s number', () => {
    const directory = mkdtempSync(join(tmpdir(), 'kata-release-'));
    const of = (text: string): string | undefined => {
      const path = join(directory, 'os-release');
      writeFileSync(path, text);
      return debianRelease(path);
    };
    try {
      assert.equal(of('PRETTY_NAME="Debian"\nVERSION_ID="12"\nID=debian\n'), '12');
      assert.equal(of('ID=ubuntu\nVERSION_ID="24.04"\nID_LIKE=debian\n'), undefined);
      assert.equal(of('ID=debian\n'), undefined);
      assert.equal(debianRelease(join(directory, 'none')), undefined);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('tests are skipped by name; with CI=true only for what the release does not have', () => {
    const there = { package: 'runc', missing: [] };
    const missing = { package: 'xfsprogs', missing: ['mkfs.xfs'] };
    const lacking = { package: 'x', missing: ['x'], unavailable: 'Debian 12 has none' };
    assert.equal(reasonOf([there], true), undefined);
    assert.equal(reasonOf([there, missing], false), 'missing: mkfs.xfs (Debian: xfsprogs)');
    assert.throws(() => reasonOf([missing, lacking], true), /CI=true, and missing: mkfs\.xfs/);
    assert.equal(reasonOf([there, lacking], true), 'missing: x (Debian 12 has none)');
  });

  it('virtiofsd has the options of its release', () => {
    const words = (program: string): string => {
      const command = virtiofsdCommand('/s', '/d', program);
      return [command.program, ...command.args].join(' ');
    };
    assert.match(
      words('/usr/libexec/virtiofsd'),
      /^\S+\/virtiofsd --socket-path \/s --shared-dir \/d --sandbox none /,
    );
    assert.match(words('/usr/lib/qemu/virtiofsd'), /^\S+\/virtiofsd --socket-path=\/s -o source=\/d /);
  });
});
