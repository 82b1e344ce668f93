import { setFlagsFromString } from 'node:v8';

/**
 * Keeps V8 from optimizing until the agent listens. What is hot in its start is so for milliseconds and never again, and by
 * the time that V8 has compiled it for that, it is over: a third of all that a guest's processors do for the agent's start.
 * V8 reads this flag whenever it would begin to optimize a function, so that it can be put back at any time.
 */
export function holdOptimizer(): void {
  setFlagsFromString('--no-opt');
}

/** From now on what is called often is optimized, as always. */
export function releaseOptimizer(): void {
  setFlagsFromString('--opt');
}
