import { performance } from 'node:perf_hooks';

import { Random } from './random.js';
import type { Target } from './target.js';

export interface Run {
  readonly target: string;
  readonly runs: number;
  readonly perSecond: number;
}

/** A target's property does not hold. One run with `seed` reproduces the input. */
export class BrokenPromise extends Error {
  readonly seed: number;

  constructor(target: Target, seed: number, cause: unknown) {
    const what = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    super(
      `${target.name}: ${target.promise}: broken by ${what}\n` +
        `to repeat: npm run fuzz -- --target ${target.name} --runs 1 --seed ${seed}`,
      { cause },
    );
    this.name = 'BrokenPromise';
    this.seed = seed;
  }
}

/** Runs a target with the seeds `seed`, `seed + 1`, …, one per run. Rejects with BrokenPromise at the first failure. */
export async function runTarget(target: Target, runs: number, seed: number): Promise<Run> {
  const begin = performance.now();
  const atOnce = target.atOnce ?? 1;
  for (let run = 0; run < runs; run += atOnce) {
    if (atOnce === 1) {
      const pending = tryOnce(target, (seed + run) >>> 0);
      if (pending !== undefined) await pending;
    } else {
      const count = Math.min(atOnce, runs - run);
      const tries = Array.from({ length: count }, (_, offset) =>
        tryOnce(target, (seed + run + offset) >>> 0),
      );
      await Promise.all(tries.filter((pending) => pending !== undefined));
    }
  }
  const seconds = (performance.now() - begin) / 1000;
  return { target: target.name, runs, perSecond: Math.round(runs / seconds) };
}

/** Undefined if the target is synchronous: an await would cost more than most inputs. */
function tryOnce(target: Target, seed: number): Promise<void> | undefined {
  try {
    return target.run(new Random(seed))?.catch((error: unknown) => {
      throw new BrokenPromise(target, seed, error);
    });
  } catch (error) {
    throw new BrokenPromise(target, seed, error);
  }
}
