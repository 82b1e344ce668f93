/** The goal of a figure: a lower or an upper bound. */
export type Goal = { readonly min: number } | { readonly max: number };

/** The least and the greatest of several figures. */
export interface Spread {
  readonly min: number;
  readonly max: number;
}

/** One line of the report. */
export interface Row {
  readonly what: string;
  readonly unit: string;
  readonly ours: number;
  /** The least and the greatest of the medians of ours, one a run. */
  readonly spread?: Spread;
  /** The comparison, if any: its name and its figure. */
  readonly against?: { readonly name: string; readonly value: number };
  /** Applies to the ratio of ours to theirs if there is a comparison, else to the figure itself. */
  readonly goal?: Goal;
}

export function ratio(row: Row): number | undefined {
  return row.against === undefined ? undefined : row.ours / row.against.value;
}

/** Returns whether the goal is met; undefined without a goal. */
export function meets(row: Row): boolean | undefined {
  const { goal } = row;
  if (goal === undefined) return undefined;
  return satisfies(goal, ratio(row) ?? row.ours);
}

export function satisfies(goal: Goal, value: number): boolean {
  return 'min' in goal ? value >= goal.min : value <= goal.max;
}

/** Returns the spread of figures, at least one. */
export function spreadOf(values: readonly number[]): Spread {
  return { min: Math.min(...values), max: Math.max(...values) };
}
