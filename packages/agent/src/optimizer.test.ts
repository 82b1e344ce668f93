import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';

/** Calls a function often enough to be optimized: held, and then released. V8 prints what it optimizes. */
const program = `
  import { holdOptimizer, releaseOptimizer } from ${JSON.stringify(new URL('optimizer.js', import.meta.url))};
  const sum = (most) => { let all = 0; for (let n = 0; n < most; n += 1) all += n % 7; return all; };
  const work = () => { for (let round = 0; round < 20_000; round += 1) sum(1000); };
  holdOptimizer();
  work();
  console.log('released');
  releaseOptimizer();
  work();
`;

it('keeps V8 from optimizing until it is told that it may', () => {
  const said = execFileSync(process.execPath, ['--trace-opt', '--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  const [held = '', free = ''] = said.split('released');
  assert.doesNotMatch(held, /completed optimizing/);
  assert.match(free, /completed optimizing .*\bsum\b/);
});
