/**
 * Returns the first seed of a run: KATA_FUZZ_SEED, or one for each day, so that all runs of a day agree and each day
 * has other inputs. Seeds of successive days are far apart, since each run uses one.
 */
export function firstSeed(environment: Readonly<Record<string, string | undefined>>, now: Date): number {
  const given = environment['KATA_FUZZ_SEED'];
  if (given !== undefined) {
    if (!/^\d{1,10}$/.test(given)) throw new RangeError(`KATA_FUZZ_SEED is not an integer: ${given}`);
    return Number(given) >>> 0;
  }
  const day = Math.floor(now.getTime() / 86_400_000);
  return Math.imul(day, 1_000_003) >>> 0;
}
