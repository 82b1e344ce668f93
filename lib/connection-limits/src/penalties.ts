/** How long a group of addresses is turned away. */
const penaltyMs = 60_000;

/** More groups than this are forgotten, the first ones first. */
const max = 1024;

/** Groups of addresses whose clients cost too much before they were authenticated. Time is monotonic, in milliseconds. */
export class Penalties {
  readonly #until = new Map<string, number>();

  add(group: string, now: number): void {
    this.#until.delete(group);
    this.#until.set(group, now + penaltyMs);
    const [first] = this.#until.keys();
    if (this.#until.size > max && first !== undefined) this.#until.delete(first);
  }

  has(group: string, now: number): boolean {
    const until = this.#until.get(group);
    if (until === undefined) return false;
    if (now < until) return true;
    this.#until.delete(group);
    return false;
  }
}
