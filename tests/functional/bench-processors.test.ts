import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { repository } from '../harness/repository.js';

const path = join(repository, 'bench/dist/processors.js');
const { firstProcessors } = (await import(path)) as {
  readonly firstProcessors: (list: string, count: number) => readonly number[];
};

describe('--processors of the benchmark', () => {
  it('takes the first processors on which the process may run', () => {
    assert.deepEqual(firstProcessors('0-3', 2), [0, 1]);
    assert.deepEqual(firstProcessors('1,4-5,9', 3), [1, 4, 5]);
    for (const count of [0, -1, 1.5, 5, Number.NaN])
      assert.throws(
        () => firstProcessors('0-3', count),
        /^RangeError: --processors: a whole number from 1 to 4$/,
      );
  });

  it('pins the process and the programs that it starts', () => {
    const script = `
      import { spawnSync } from 'node:child_process';
      import { pinToProcessors } from '${path}';
      const [only] = pinToProcessors(1);
      const { stdout } = spawnSync('grep', ['Cpus_allowed_list', '/proc/self/status'], { encoding: 'utf8' });
      console.log(stdout.trim().split(/\\s+/)[1] === String(only));
    `;
    const done = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    assert.equal(done.stdout, 'true\n', done.stderr);
  });

  it('exits with 2 at a number that cannot be', () => {
    const main = join(repository, 'bench/dist/main.js');
    const args = [main, '--processors', '0', '--only', 'decision'];
    const done = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.equal(done.status, 2);
    assert.match(done.stderr, /^--processors: a whole number from 1 to \d+\n$/);
  });
});
