import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { detachLoops, runInRoot } from '@kata-agent/tool-repository/fresh-root/enter';
import { repository } from '../harness/repository.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';

describe('commands in a root file system of their own', {
  skip: whyNoContainers('util-linux') ?? false,
}, () => {
  let directory = '';
  let root = '';
  const marker = `kata-fresh-root-${process.pid}-`;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-fresh-root-'));
    root = makeRootfs(directory);
    mkdirSync(join(root, 'mnt'));
    for (const applet of ['umount', 'mount', 'mkdir', 'touch', 'test', 'readlink'])
      symlinkSync('busybox', join(root, 'bin', applet));
  });
  after(() => rmSync(directory, { recursive: true }));

  const run = (line: string, signal: AbortSignal = new AbortController().signal): Promise<number | null> =>
    runInRoot(root, { line, cwd: '/tmp', env: { PATH: '/bin' }, signal });

  /** Returns processes, mounts and cgroups of a command that are left on this machine. */
  function leftovers(): readonly string[] {
    const processes = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => (existsSync(`/proc/${pid}/cmdline`) ? commandLine(pid) : ''))
      .filter((line) => line.includes(root));
    const mounts = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(directory));
    const cgroups = execFileSync('find', ['/sys/fs/cgroup', '-type', 'd', '-name', `${marker}*`], {
      encoding: 'utf8',
    });
    return [...processes, ...mounts, ...cgroups.split('\n')].filter((line) => line !== '');
  }

  function commandLine(pid: string): string {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    } catch {
      // The process has ended since the directory was read.
      return '';
    }
  }

  it('a command sees only its own root, processes and cgroups, and its exit code is returned', async () => {
    const line = [
      `test -e /mnt && test ! -e ${repository}`,
      'test $(busybox ps | busybox wc -l) -lt 9',
      '! busybox grep -v ":/$" /proc/self/cgroup',
      'touch here',
      'exit 7',
    ].join(' && ');
    assert.equal(await run(line), 7);
    assert.ok(existsSync(join(root, 'tmp/here')));
    assert.deepEqual(leftovers(), []);
  });

  it('a stopped command leaves no background processes, mounts or cgroups of containers', async () => {
    const stop = new AbortController();
    const parents = '/sys/fs/cgroup /sys/fs/cgroup/*';
    const line = `for d in ${parents}; do mkdir -p $d/inner/most 2>/dev/null; done; sleep 1000 & touch running; sleep 1000`;
    const ended = run(line, stop.signal);
    let hasEnded = false;
    void ended.then(
      () => {
        hasEnded = true;
      },
      () => {
        hasEnded = true;
      },
    );
    while (!existsSync(join(root, 'tmp/running'))) {
      assert.ok(!hasEnded, 'the command ended before it was stopped');
      await delay(20);
    }
    assert.ok(leftovers().some((leftover) => leftover.includes(marker)));
    stop.abort(new Error('stopped by the test'));
    await assert.rejects(ended, /stopped by the test/);
    assert.deepEqual(leftovers(), []);
  });

  it('detachLoops detaches loop devices of files below the root', async () => {
    const file = join(root, 'tmp/disk');
    writeFileSync(file, Buffer.alloc(2 ** 20));
    const device = execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim();
    detachLoops(root);
    assert.doesNotMatch(
      execFileSync('losetup', ['--list', '--noheadings', '--output', 'NAME'], { encoding: 'utf8' }),
      new RegExp(`^${device}$`, 'm'),
    );
  });
});
