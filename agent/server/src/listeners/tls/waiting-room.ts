/**
 * Connections that wait for a handshake, bounded, by group.
 *
 * The group with the fewest handshakes is next, then the one that has waited longest for its turn: a flood from one
 * group delays its own connections only. Within a group the newest is next and the oldest is dropped when all places are
 * taken: in a flood of connections that say nothing, the oldest have waited in vain, and a client that just arrived gets
 * its turn at once instead of after all of them.
 */
export class WaitingRoom<T> {
  readonly #places: number;
  /** In the order in which they were last served. */
  readonly #groups = new Map<string, T[]>();
  #size = 0;

  constructor(places: number) {
    this.#places = places;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds a connection. Returns the one that is dropped for it, if the room is full. */
  add(group: string, item: T): T | undefined {
    const items = this.#groups.get(group);
    if (items === undefined) this.#groups.set(group, [item]);
    else items.push(item);
    this.#size += 1;
    return this.#size > this.#places ? this.#dropOldest() : undefined;
  }

  /** Removes and returns the next connection. `active` returns the number of handshakes of a group. */
  next(active: (group: string) => number): T | undefined {
    let chosen: string | undefined;
    for (const group of this.#groups.keys())
      if (chosen === undefined || active(group) < active(chosen)) chosen = group;
    if (chosen === undefined) return undefined;
    const items = this.#groups.get(chosen) ?? [];
    const item = items.pop();
    this.#size -= 1;
    this.#groups.delete(chosen);
    if (items.length > 0) this.#groups.set(chosen, items);
    return item;
  }

  /** Removes a connection that is no longer interested. */
  remove(group: string, item: T): void {
    const items = this.#groups.get(group);
    const index = items?.indexOf(item) ?? -1;
    if (items === undefined || index < 0) return;
    items.splice(index, 1);
    this.#size -= 1;
    if (items.length === 0) this.#groups.delete(group);
  }

  #dropOldest(): T | undefined {
    let largest: [string, T[]] | undefined;
    for (const entry of this.#groups)
      if (largest === undefined || entry[1].length > largest[1].length) largest = entry;
    if (largest === undefined) return undefined;
    const [group, [oldest]] = largest;
    if (oldest !== undefined) this.remove(group, oldest);
    return oldest;
  }
}
