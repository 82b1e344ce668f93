// How much do tests with generated input try? With CI=true all; otherwise a part, so that `npm test` on a laptop takes minutes.

const full = process.env['CI'] === 'true';

/** Returns how many runs of a property to make: a tenth, but no fewer than 10. */
export function runs(all: number): number {
  return full ? all : Math.min(all, Math.max(10, Math.ceil(all / 10)));
}

/** Returns how often a property must at least have met a case, for the number of all runs. Fewer runs may not meet it at all. */
export function timesSeen(all: number): number {
  return full ? all : 0;
}

/** Returns the positions of bytes to change, one after another: each 16th, from a random one. */
export function* positions(length: number): Generator<number> {
  const step = full ? 1 : 16;
  for (let at = Math.floor(Math.random() * Math.min(step, length)); at < length; at += step) yield at;
}
