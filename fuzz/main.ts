// `npm run fuzz [-- --runs N --target NAME --seed S]`: runs each target, and prints its executions per second.
import { parseArgs } from 'node:util';

import { BrokenPromise, runTarget } from './run-target.js';
import { firstSeed } from './seed.js';
import { targets } from './targets.js';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '50000' },
    target: { type: 'string' },
    seed: { type: 'string' },
  },
});
const runs = Number(values.runs);
const seed = values.seed === undefined ? firstSeed(process.env, new Date()) : Number(values.seed);
const chosen = targets.filter(({ name }) => values.target === undefined || name === values.target);
if (!Number.isSafeInteger(runs) || runs < 1 || !Number.isSafeInteger(seed)) {
  console.error('--runs and --seed must be integers');
  process.exitCode = 2;
} else if (chosen.length === 0) {
  console.error(`no target ${values.target}; known: ${targets.map(({ name }) => name).join(', ')}`);
  process.exitCode = 2;
} else {
  console.log(`seed ${seed}`);
  let at = '';
  // An error outside of a run, from a timer or a stream, cannot be assigned to a seed, only to a target.
  process.on('uncaughtExceptionMonitor', () => console.error(`uncaught while ${at} ran, after seed ${seed}`));
  for (const target of chosen) {
    at = target.name;
    try {
      const { perSecond } = await runTarget(target, runs, seed);
      console.log(`${target.name.padEnd(16)} ${runs} runs, ${perSecond} a second`);
    } catch (error) {
      if (!(error instanceof BrokenPromise)) throw error;
      console.error(error.message);
      process.exitCode = 1;
    }
  }
}
