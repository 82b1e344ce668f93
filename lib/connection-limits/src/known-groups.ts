/** More groups than this are forgotten, the first ones first. */
const defaultMost = 256;

/** Groups of addresses from which a client was authenticated, and none refused since. */
export class KnownGroups {
  readonly #groups = new Set<string>();
  readonly #barred = new Set<string>();
  readonly #max: number;

  constructor(max: number = defaultMost) {
    this.#max = max;
  }

  has(group: string): boolean {
    return this.#groups.has(group);
  }

  add(group: string): void {
    if (!this.#barred.has(group)) addBounded(this.#groups, group, this.#max);
  }

  /** Forgets a group, for good: a client of the same address could cost much each time that it was authenticated. */
  bar(group: string): void {
    this.#groups.delete(group);
    addBounded(this.#barred, group, this.#max);
  }
}

function addBounded(groups: Set<string>, group: string, max: number): void {
  groups.delete(group);
  groups.add(group);
  const [first] = groups;
  if (groups.size > max && first !== undefined) groups.delete(first);
}
