import { parseArgs } from 'node:util';
import { firstSeed } from './seed.js';
import type { Target } from './target.js';
import { targets } from './targets.js';

export const usage: string = `Usage: npm run fuzz [-- OPTIONS]

Runs each target with random inputs, and prints its executions per second. Example: npm run fuzz -- --runs 200

  --runs N         runs of each target; default: 50000
  --target NAME    ${targets.map(({ name }) => name).join(', ')}; all without it
  --seed S         of the first run; default: KATA_FUZZ_SEED, or one for each day
  --help           prints this help`;

export interface FuzzOptions {
  readonly targets: readonly Target[];
  readonly runs: number;
  readonly seed: number;
}

/** Parses the options of a run; `help` if they ask for the usage. Throws an Error for wrong usage. */
export function parseFuzzOptions(words: readonly string[]): FuzzOptions | 'help' {
  const { values } = parseArgs({
    args: [...words],
    options: {
      runs: { type: 'string', default: '50000' },
      target: { type: 'string' },
      seed: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) return 'help';
  const runs = Number(values.runs);
  const seed = values.seed === undefined ? firstSeed(process.env, new Date()) : Number(values.seed);
  if (!Number.isSafeInteger(runs) || runs < 1)
    throw new Error(`--runs ${values.runs}: must be an integer from 1 on`);
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed ${values.seed}: must be an integer`);
  const chosen = targets.filter(({ name }) => values.target === undefined || name === values.target);
  if (chosen.length === 0) throw new Error(`--target ${values.target}: there is no such target`);
  return { targets: chosen, runs, seed };
}
