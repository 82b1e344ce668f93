import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { packageDirectories } from '@kata-agent/setup/products';
import { checkIntegrity, releasedNode } from '@kata-agent/tool-guest-image/node/released-node';
import { agentNodeOptions } from '@kata-agent/tool-bundle/node-options';
import {
  imageNodeVersion,
  majorOf,
  nodeReleases,
  pinnedRelease,
} from '@kata-agent/tool-guest-image/node/releases';
import { bundleWrapper } from '@kata-agent/tool-guest-image/tree/guest-tree';
import { repository } from '../harness/repository.js';

const read = (path: string): string => readFileSync(join(repository, path), 'utf8');
/** Returns the versions of each line from `minimum` on. 21, 23 and 25 have ended; later lines are not excluded. */
const engines = [...nodeReleases.map(({ minimum }) => `^${minimum}`), '>=26.5.1'].join(' || ');
const majors = nodeReleases.map(({ version }) => majorOf(version));

describe('the pinned releases of Node.js', () => {
  it('are 20, 22 and 24, each with the digest of its package for both architectures', () => {
    assert.deepEqual(majors, [20, 22, 24]);
    for (const { integrity } of nodeReleases) {
      assert.deepEqual(Object.keys(integrity), ['x64', 'arm64']);
      for (const digest of Object.values(integrity)) assert.match(digest, /^sha512-[A-Za-z0-9+/]{86}==$/);
    }
  });

  it('are found only by version or line', () => {
    assert.equal(pinnedRelease('24').version, imageNodeVersion);
    assert.equal(pinnedRelease('24.21.0').version, '24.21.0');
    for (const wanted of ['18', '24.0.0', '', '2'])
      assert.throws(
        () => pinnedRelease(wanted),
        /is not pinned in guest-image\/image\/src\/node\/releases\.ts\nhelp: use one of 20\./,
      );
  });

  it('match `engines` of every package, README and guides', () => {
    for (const path of ['package.json', ...packageDirectories.map((each) => `${each}/package.json`)]) {
      const manifest = JSON.parse(read(path)) as { readonly engines: { readonly node: string } };
      assert.equal(manifest.engines.node, engines, path);
    }
    for (const page of ['README.md', 'docs/guest-image.md', 'docs/existing-image.md'])
      for (const { minimum } of nodeReleases) assert.ok(read(page).includes(minimum), `${page}: ${minimum}`);
  });

  it("are all run by CI, except CI's own", () => {
    const line = /test-releases\.mjs ([\d ]+) --/.exec(read('.ci/run'))?.[1] ?? assert.fail('no such line');
    assert.deepEqual(line.split(' ').map(Number), majors.slice(1));
  });

  it('are compared with their digest', () => {
    const right =
      'sha512-7iaw3Ur350mqGo7jwQrpkj9hiYB3Lkc/iBml1JQODbJ6wYX4oOHV+E+IvIh/1nsUNzLDBMxfqa2Ob1f1ACio/w==';
    checkIntegrity('a package', Buffer.from('test'), right);
    assert.throws(
      () => checkIntegrity('a package', Buffer.from('tesT'), right),
      /^Error: a package has the digest sha512-.*, but guest-image\/image\/src\/node\/releases\.ts pins sha512-7iaw/,
    );
  });
});

describe('a downloaded release', () => {
  const path = process.env['PATH'] ?? '';
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-release-'));
  });
  after(() => {
    process.env['PATH'] = path;
    rmSync(directory, { recursive: true });
  });

  /** Runs with a fake npm. */
  function download(npm: string): string {
    writeFileSync(join(directory, 'npm'), `#!/bin/sh\n${npm}\n`, { mode: 0o755 });
    process.env['PATH'] = `${directory}${delimiter}${path}`;
    return releasedNode('24', () => undefined, join(directory, 'node'));
  }

  it('is rejected with another digest than the pinned one, and removed', () => {
    const npm = `echo other >x.tgz; echo '[{"filename":"x.tgz"}]'`;
    assert.throws(() => download(npm), /node-linux-\w+@24\.21\.0 has the digest sha512-.* pins sha512-/);
    assert.deepEqual(readdirSync(join(directory, 'node')), []);
  });

  it('that cannot be downloaded is named, with a hint', () => {
    const npm = 'echo npm error network >&2; exit 1';
    assert.throws(
      () => download(npm),
      /cannot download node-linux-\w+@24\.21\.0: .*npm error network\nhelp: .*--node FILE/s,
    );
  });
});

describe('npm run image -- --node FILE', () => {
  it('names a missing file before anything is built', () => {
    const args = ['scripts/image.mjs', '--compiled', '--node', '/nowhere/node'];
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: repository, encoding: 'utf8' });
    assert.equal(status, 2);
    assert.match(stderr, /--node \/nowhere\/node/);
  });
});

describe('node scripts/test-releases.mjs', () => {
  const run = (...words: readonly string[]): { readonly status: number | null; readonly stderr: string } =>
    spawnSync(process.execPath, ['scripts/test-releases.mjs', ...words], {
      cwd: repository,
      encoding: 'utf8',
    });

  it('names the known releases when asked for another, before anything is run', () => {
    const { status, stderr } = run('24', '18', '--', 'nothing');
    assert.equal(status, 1);
    assert.match(stderr, /^Node\.js 18 is not pinned .*\nhelp: use one of 20\.\S+, 22\.\S+, 24\.\S+\n$/m);
    assert.equal(run().status, 2);
  });
});

describe('the young generation of the agent', () => {
  const option = '--max-semi-space-size=4';

  it('is limited by each wrapper, before the program’s own arguments', () => {
    assert.deepEqual(agentNodeOptions, [option]);
    const words = bundleWrapper().toString('latin1').split('\0');
    const at = words.indexOf('/usr/lib/kata-agent/kata-agent.cjs');
    assert.deepEqual(words.slice(at - 2, at), ['/usr/bin/node', option]);
  });

  it('is limited: V8 accepts the option', () => {
    const told =
      'v8.getHeapSpaceStatistics();const a=[];for(let i=0;i<1e6;i++)a.push({i});' +
      'const s=v8.getHeapSpaceStatistics().find((x)=>x.space_name==="new_space");process.stdout.write(String(s.space_size))';
    const { status, stdout, stderr } = spawnSync(process.execPath, [option, '-e', told], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    assert.ok(Number(stdout) <= 3 * 4 * 2 ** 20, stdout);
  });
});
