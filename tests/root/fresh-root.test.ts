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
import { repository } from '../harness/repository.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';

interface Command {
  readonly line: string;
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

/** What the scripts export; they are JavaScript. */
interface Scripts {
  readonly runInRoot: (rootFolder: string, command: Command) => Promise<number>;
  readonly detachLoops: (rootFolder: string) => void;
}

const scripts = (await import(`${repository}scripts/fresh-root-enter.mjs`)) as Scripts;

describe('a command in a root file system of its own', {
  skip: whyNoContainers('util-linux') ?? false,
}, () => {
  let folder = '';
  let root = '';
  const marker = `kata-fresh-root-${process.pid}-`;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'kata-fresh-root-'));
    root = makeRootfs(folder);
    mkdirSync(join(root, 'mnt'));
    for (const applet of ['umount', 'mount', 'mkdir', 'touch', 'test', 'readlink'])
      symlinkSync('busybox', join(root, 'bin', applet));
  });
  after(() => rmSync(folder, { recursive: true }));

  const run = (line: string, signal: AbortSignal = new AbortController().signal): Promise<number> =>
    scripts.runInRoot(root, { line, cwd: '/tmp', env: { PATH: '/bin' }, signal });

  /** Processes, mounts and cgroups of such a command on this machine. */
  function traces(): readonly string[] {
    const processes = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => (existsSync(`/proc/${pid}/cmdline`) ? commandLine(pid) : ''))
      .filter((line) => line.includes(root));
    const mounts = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(folder));
    const cgroups = execFileSync('find', ['/sys/fs/cgroup', '-type', 'd', '-name', `${marker}*`], {
      encoding: 'utf8',
    });
    return [...processes, ...mounts, ...cgroups.split('\n')].filter((line) => line !== '');
  }

  function commandLine(pid: string): string {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    } catch {
      // It has ended since the directory was read.
      return '';
    }
  }

  it('sees its root, its processes and its cgroups alone, and its exit code is passed on', async () => {
    const line = [
      `test -e /mnt && test ! -e ${repository}`,
      'test $(busybox ps | busybox wc -l) -lt 9',
      '! busybox grep -v ":/$" /proc/self/cgroup',
      'touch here',
      'exit 7',
    ].join(' && ');
    assert.equal(await run(line), 7);
    assert.ok(existsSync(join(root, 'tmp/here')));
    assert.deepEqual(traces(), []);
  });

  it('leaves nothing when it is stopped, its background and its containers’ cgroups included', async () => {
    const stop = new AbortController();
    const parents = '/sys/fs/cgroup /sys/fs/cgroup/*';
    const line = `for d in ${parents}; do mkdir -p $d/inner/most 2>/dev/null; done; sleep 1000 & touch running; sleep 1000`;
    const ended = run(line, stop.signal);
    let over = false;
    void ended.then(
      () => {
        over = true;
      },
      () => {
        over = true;
      },
    );
    while (!existsSync(join(root, 'tmp/running'))) {
      assert.ok(!over, 'the command ended before it was stopped');
      await delay(20);
    }
    assert.ok(traces().some((trace) => trace.includes(marker)));
    stop.abort(new Error('stopped by the test'));
    await assert.rejects(ended, /stopped by the test/);
    assert.deepEqual(traces(), []);
  });

  it('is followed by letting go of the loop devices that it left', async () => {
    const file = join(root, 'tmp/disk');
    writeFileSync(file, Buffer.alloc(2 ** 20));
    const device = execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim();
    scripts.detachLoops(root);
    assert.doesNotMatch(
      execFileSync('losetup', ['--list', '--noheadings', '--output', 'NAME'], { encoding: 'utf8' }),
      new RegExp(`^${device}$`, 'm'),
    );
  });
});
