/** What a figure should reach: a bound from below or from above. */
export type Goal = { readonly least: number } | { readonly most: number };

/** One line of the report. */
export interface Row {
  readonly what: string;
  readonly unit: string;
  readonly ours: number;
  /** What it is compared with, if anything: its name and its figure. */
  readonly against?: { readonly name: string; readonly value: number };
  /** On the ratio ours to theirs where there is a comparison, else on the figure itself. */
  readonly goal?: Goal;
}

export function ratio(row: Row): number | undefined {
  return row.against === undefined ? undefined : row.ours / row.against.value;
}

/** Whether the goal was met; undefined without a goal. */
export function meets(row: Row): boolean | undefined {
  const { goal } = row;
  if (goal === undefined) return undefined;
  const value = ratio(row) ?? row.ours;
  return 'least' in goal ? value >= goal.least : value <= goal.most;
}
