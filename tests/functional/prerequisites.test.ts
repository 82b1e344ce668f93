import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { reasonOf } from '../harness/prerequisites.js';
import { repository } from '../harness/repository.js';

interface Row {
  readonly name: string;
  readonly package: string;
  readonly has: readonly string[];
  readonly absent: readonly string[];
}

/** What the scripts export; they are JavaScript. */
interface Scripts {
  readonly prerequisite: (
    name: string,
    release: string | undefined,
    isThere: (what: string) => boolean,
  ) => Row;
  readonly packageNames: readonly string[];
  readonly debianRelease: (path: string) => string | undefined;
  readonly virtiofsdCommand: (
    socket: string,
    folder: string,
    program: string,
  ) => { readonly program: string; readonly args: readonly string[] };
}

const scripts = Object.assign(
  {},
  ...(await Promise.all(
    ['prerequisites', 'virtiofsd'].map(
      (name) => import(`${repository}scripts/${name}.mjs`) as Promise<Partial<Scripts>>,
    ),
  )),
) as Scripts;

describe('the table of prerequisites', () => {
  const nothing = (): boolean => false;

  it('knows where a release has a thing', () => {
    const row = (release: string): Row => scripts.prerequisite('virtiofsd', release, nothing);
    assert.equal(row('12').package, 'qemu-system-common');
    assert.deepEqual(row('12').absent, ['/usr/lib/qemu/virtiofsd']);
    for (const release of ['13', 'of no Debian']) {
      assert.equal(row(release).package, 'virtiofsd');
      assert.deepEqual(row(release).absent, ['/usr/libexec/virtiofsd']);
    }
  });

  it('names the programs that are not there', () => {
    const row = scripts.prerequisite('xfsprogs', '13', (what) => what === 'mkfs.xfs');
    assert.deepEqual(row.absent, ['xfs_growfs']);
    assert.throws(() => scripts.prerequisite('no-such-package', '13', nothing), /not in the table/);
  });

  it('is what docs/prerequisites.md has', () => {
    const page = readFileSync(`${repository}docs/prerequisites.md`, 'utf8');
    for (const name of scripts.packageNames) {
      const line = new RegExp(`^\\| ${name} \\| (.*) \\|$`, 'm').exec(page)?.[1];
      assert.ok(line !== undefined, `${name} is not in docs/prerequisites.md`);
      for (const what of scripts.prerequisite(name, 'of no Debian', nothing).has)
        if (!what.startsWith('/usr/share/gocode'))
          assert.ok(line.includes(`\`${what}\``), `${name}: ${what}`);
    }
  });

  it('a release is Debian’s own number', () => {
    const folder = mkdtempSync(join(tmpdir(), 'kata-release-'));
    const of = (text: string): string | undefined => {
      const path = join(folder, 'os-release');
      writeFileSync(path, text);
      return scripts.debianRelease(path);
    };
    try {
      assert.equal(of('PRETTY_NAME="Debian"\nVERSION_ID="12"\nID=debian\n'), '12');
      assert.equal(of('ID=ubuntu\nVERSION_ID="24.04"\nID_LIKE=debian\n'), undefined);
      assert.equal(of('ID=debian\n'), undefined);
      assert.equal(scripts.debianRelease(join(folder, 'none')), undefined);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('tests are skipped by name; with CI=true only for what the release does not have', () => {
    const there = { name: 'runc', package: 'runc', absent: [] };
    const missing = { name: 'xfsprogs', package: 'xfsprogs', absent: ['mkfs.xfs'] };
    const lacking = { name: 'x', package: 'x', absent: ['x'], lacks: 'Debian 12 has none' };
    assert.equal(reasonOf([there], true), undefined);
    assert.equal(reasonOf([there, missing], false), 'missing: mkfs.xfs (Debian: xfsprogs)');
    assert.throws(() => reasonOf([missing, lacking], true), /CI=true, and missing: mkfs\.xfs/);
    assert.equal(reasonOf([there, lacking], true), 'missing: x (Debian 12 has none)');
  });

  it('virtiofsd has the options of its release', () => {
    const words = (program: string): string => {
      const command = scripts.virtiofsdCommand('/s', '/d', program);
      return [command.program, ...command.args].join(' ');
    };
    assert.match(
      words('/usr/libexec/virtiofsd'),
      /^\S+\/virtiofsd --socket-path \/s --shared-dir \/d --sandbox none /,
    );
    assert.match(words('/usr/lib/qemu/virtiofsd'), /^\S+\/virtiofsd --socket-path=\/s -o source=\/d /);
  });
});
