import type { Counts, RecordBody } from '../record/record.js';

/** Method names come from peers: names beyond these limits are counted under `*`. */
const maxMethods = 128;
const maxResults = 32;

/** Counts calls by method, then by result, for summaries of removed records. */
export class Tally {
  readonly #methods = new Map<string, Map<string, number>>();

  add(record: RecordBody): void {
    switch (record.kind) {
      case 'intent':
        return this.#count(record.method, 'intent', 1);
      case 'refusal':
        return this.#count(record.method, 'refused', 1);
      case 'outcome':
      case 'call':
        return this.#count(record.method, record.result.code, 1);
      case 'fold':
        return this.#count(record.method, record.code ?? 'refused', record.count);
      case 'lost':
        return this.#count('*', 'lost', record.count);
      case 'boot':
      case 'rotated':
      case 'repaired':
      case 'heartbeat':
        return undefined;
    }
  }

  merge(counts: Counts): void {
    for (const [method, results] of Object.entries(counts)) {
      for (const [result, count] of Object.entries(results)) this.#count(method, result, count);
    }
  }

  counts(): Counts {
    return Object.fromEntries(
      Array.from(this.#methods, ([method, results]) => [method, Object.fromEntries(results)]),
    );
  }

  #count(method: string, result: string, count: number): void {
    const results = room(this.#methods, method, maxMethods, () => new Map<string, number>());
    const name = results.has(result) || results.size < maxResults ? result : '*';
    results.set(name, (results.get(name) ?? 0) + count);
  }
}

function room<V>(map: Map<string, V>, key: string, limit: number, make: () => V): V {
  const name = map.has(key) || map.size < limit ? key : '*';
  const found = map.get(name) ?? make();
  map.set(name, found);
  return found;
}
