import { bundledAgent } from './agent-program.js';
import { type BoundResult, boundText, checkBounds, missedBounds } from './budget.js';
import { budget } from './budget-table.js';
import { measureCalls } from './calls.js';
import { endChildren } from './children.js';
import { measureContainers } from './container.js';
import { goPrograms } from './go-programs.js';
import { renderTable } from './render.js';
import type { Row } from './row.js';
import { measureStartBesideNode } from './startup.js';

/** A row that misses its bound on a busy machine may meet it a little later. */
const attempts = 3;

/** The rows of the budget, and few others, by their part. */
const measurements: Readonly<Record<string, () => Promise<readonly Row[]>>> = {
  container: () =>
    measureContainers({ go: goPrograms(), program: bundledAgent(), quick: false, runtime: 'crun' }),
  calls: () => measureCalls(goPrograms(), true, [16]),
  startup: () => measureStartBesideNode(),
};

/** Measures the budget in about a minute and prints it. Returns the exit code: 1 if a bound was missed, or could not be measured. */
export async function measureBudget(format: 'text' | 'json'): Promise<number> {
  try {
    const results = await checkBounds(
      budget,
      (part) => {
        console.error(`• ${part}`);
        return measurements[part]?.() ?? Promise.resolve([]);
      },
      attempts,
    );
    console.log(format === 'json' ? JSON.stringify(results) : renderBounds(results));
    const missed = missedBounds(results);
    if (missed !== undefined) console.error(missed);
    return missed === undefined ? 0 : 1;
  } catch (error) {
    endChildren();
    console.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

function renderBounds(results: readonly BoundResult[]): string {
  const cells = results.map(({ part, what, ratio, measured, bound, attempts: count, met }) => [
    `${part}: ${what}`,
    `${ratio.toFixed(2)}×`,
    boundText(bound),
    `${measured}×`,
    String(count),
    met ? 'met' : 'missed',
  ]);
  return renderTable([['', 'ratio', 'bound', 'when it was set', 'attempts', ''], ...cells]);
}
