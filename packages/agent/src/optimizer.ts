import { setFlagsFromString } from 'node:v8';

/**
 * V8's optimizing compilers, by their flags, for each of its releases that was tried: 11 is Node.js 20's, 13 is 24's. In 12, of
 * Node.js 22, something else changes with the flag and does not change back.
 */
const compilersOf: Readonly<Record<number, readonly string[]>> = { 11: ['opt'], 13: ['opt', 'maglev'] };

const compilers = compilersOf[Number.parseInt(process.versions.v8)] ?? [];

/**
 * Keeps V8 from optimizing until the agent listens. What is hot in its start is so for milliseconds and never again, and by
 * the time that V8 has compiled it for that, it is over: a quarter of all the code that a guest runs for the agent's start.
 * V8 reads these flags whenever it would begin to optimize a function, so that they can be put back at any time.
 */
export function holdOptimizer(): void {
  for (const compiler of compilers) setFlagsFromString(`--no-${compiler}`);
}

/** From now on what is called often is optimized, as always. */
export function releaseOptimizer(): void {
  for (const compiler of compilers) setFlagsFromString(`--${compiler}`);
}
