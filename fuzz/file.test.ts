import { test } from 'node:test';

import { runTarget } from './run-target.js';
import { firstSeed } from './seed.js';
import { fileTargets } from './targets.js';

const runs = 50_000;

for (const target of fileTargets) {
  test(`${target.name}: ${target.promise}`, async (context) => {
    const seed = firstSeed(process.env, new Date());
    const { perSecond } = await runTarget(target, runs, seed);
    context.diagnostic(`seed ${seed}: ${runs} runs, ${perSecond} a second`);
  });
}
