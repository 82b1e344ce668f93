import type { Goal, Row } from './row.js';
import { ratio, satisfies } from './row.js';

/**
 * The bound of a row: the ratio that no change may miss. A goal is what the project wants to reach, and may be missed; a bound is
 * about 1.6 times worse than what was measured, so that other load on the machine does not miss it.
 */
export interface Bound {
  readonly part: string;
  /** The row's `what`. */
  readonly what: string;
  /** The ratio that was measured when the bound was set, on 2 processors with other work. */
  readonly measured: number;
  readonly bound: Goal;
}

/** A bound, and the best ratio of all attempts. */
export interface BoundResult extends Bound {
  readonly ratio: number;
  readonly attempts: number;
  readonly met: boolean;
}

/**
 * Measures the parts of the bounds, in their order. A part in which a row misses its bound is measured again, up to `attempts` times
 * in all, until each of its rows has met its bound once. Throws if a bound names a row that its part does not have, or that is
 * compared with nothing.
 */
export async function checkBounds(
  bounds: readonly Bound[],
  measure: (part: string) => Promise<readonly Row[]>,
  attempts: number,
): Promise<readonly BoundResult[]> {
  const results: BoundResult[] = [];
  for (const part of new Set(bounds.map((each) => each.part))) {
    let found: readonly BoundResult[] = [];
    for (
      let attempt = 1;
      attempt <= attempts && (attempt === 1 || found.some(({ met }) => !met));
      attempt += 1
    ) {
      const rows = await measure(part);
      found = bounds
        .filter((each) => each.part === part)
        .map((bound, index) => better(found[index], resultOf(bound, rows, attempt)));
    }
    results.push(...found);
  }
  return results;
}

/** A row that has met its bound keeps its result. */
function better(before: BoundResult | undefined, now: BoundResult): BoundResult {
  if (before === undefined || (!before.met && now.met)) return now;
  if (before.met) return before;
  const nearer = 'min' in now.bound ? now.ratio > before.ratio : now.ratio < before.ratio;
  return nearer ? now : { ...before, attempts: now.attempts };
}

function resultOf(bound: Bound, rows: readonly Row[], attempts: number): BoundResult {
  const row = rows.find(({ what }) => what === bound.what);
  const value = row === undefined ? undefined : ratio(row);
  if (value === undefined)
    throw new Error(
      `bench/budget-table.ts: ${bound.part} has no row \`${bound.what}\` with a ratio\nhelp: name one of: ${rows
        .filter((each) => ratio(each) !== undefined)
        .map(({ what }) => what)
        .join('; ')}`,
    );
  return { ...bound, ratio: value, attempts, met: satisfies(bound.bound, value) };
}

/** Returns what missed its bound, a line each, and the help; undefined if nothing did. */
export function missedBounds(results: readonly BoundResult[]): string | undefined {
  const missed = results.filter(({ met }) => !met);
  if (missed.length === 0) return undefined;
  const parts = [...new Set(missed.map(({ part }) => part))];
  return [
    ...missed.map(
      ({ part, what, ratio: value, bound, attempts }) =>
        `${part}: ${what}: ${value.toFixed(2)}×, bound ${boundText(bound)}, best of ${attempts}`,
    ),
    `help: on a quiet machine compare with the commit before: ${parts
      .map((part) => `npm run bench -- --against COMMIT --only ${part}`)
      .join('; ')}`,
  ].join('\n');
}

/** Returns a bound as `≤ 2.2×`. */
export function boundText(bound: Goal): string {
  return 'min' in bound ? `≥ ${bound.min}×` : `≤ ${bound.max}×`;
}
