import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';

const optimizer = JSON.stringify(new URL('optimizer.js', import.meta.url));

function run(program: string, ...flags: readonly string[]): string {
  return execFileSync(process.execPath, [...flags, '--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
}

it('keeps V8 from optimizing until it is told that it may', () => {
  const said = run(
    `import { holdOptimizer, releaseOptimizer } from ${optimizer};
     const sum = (most) => { let all = 0; for (let n = 0; n < most; n += 1) all += n % 7; return all; };
     const work = () => { for (let round = 0; round < 20_000; round += 1) sum(1000); };
     holdOptimizer();
     work();
     console.log('released');
     releaseOptimizer();
     work();
     work();`,
    '--trace-opt',
  );
  const [held = '', free = ''] = said.split('released');
  const isTried = /^(11|13)\./.test(process.versions.v8);
  // Elsewhere nothing is held, and what is hot is optimized at once.
  assert.equal(/completed optimizing/.test(held), !isTried, held);
  assert.match(isTried ? free : held, /completed optimizing .*\bsum\b/);
});

it('leaves V8 as it was: what is compiled afterwards is taken back by one that never held anything', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kata-optimizer-'));
  try {
    const script = `import { readFileSync, writeFileSync } from 'node:fs';
      import { Script } from 'node:vm';
      const path = ${JSON.stringify(join(folder, 'cache'))};`;
    run(`import { holdOptimizer, releaseOptimizer } from ${optimizer};
      ${script}
      holdOptimizer();
      releaseOptimizer();
      writeFileSync(path, new Script('1 + 1').createCachedData());`);
    const said = run(
      `${script} console.log(new Script('1 + 1', { cachedData: readFileSync(path) }).cachedDataRejected);`,
    );
    assert.equal(said, 'false\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
