import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../harness/repository.js';
import type { Mutation } from './field-mutations.js';
import type { Sequence } from './sequences.js';

/** A change that a generated configuration and the guest let pass, and why that is as it should be. */
interface ReviewedField {
  readonly methods: readonly string[];
  /** By the names of the .proto; a final `*` stands for any rest. */
  readonly fields: readonly string[];
  /** Absent: any kind. */
  readonly kinds?: readonly string[];
  /** RE of what the mutation says of itself; absent: any. */
  readonly detail?: string;
  readonly why: string;
}

interface ReviewedSequence {
  readonly kinds: readonly string[];
  /** RE of what the sequence is about. */
  readonly about: string;
  readonly why: string;
}

interface Lists {
  readonly fields: readonly ReviewedField[];
  readonly sequences: readonly ReviewedSequence[];
}

/** The reviewed list, which notes what of it was needed. */
export class ReviewedList {
  readonly #lists: Lists;
  readonly #needed = new Set<unknown>();

  constructor() {
    const file = join(repository, 'tests', 'mutation', 'reviewed.json');
    this.#lists = JSON.parse(readFileSync(file, 'utf8')) as Lists;
  }

  get size(): number {
    return this.#lists.fields.length + this.#lists.sequences.length;
  }

  hasField(method: string, { field, kind, detail }: Mutation): boolean {
    return this.#note(
      this.#lists.fields.filter(
        (each) =>
          each.methods.includes(method) &&
          each.fields.some((name) => fits(name, field)) &&
          (each.kinds?.includes(kind) ?? true) &&
          new RegExp(each.detail ?? '').test(detail),
      ),
    );
  }

  hasSequence({ kind, about }: Sequence): boolean {
    return this.#note(
      this.#lists.sequences.filter(
        (each) => each.kinds.includes(kind) && new RegExp(`^(${each.about})$`).test(about),
      ),
    );
  }

  /** Entries that nothing needed. */
  unneeded(): readonly string[] {
    return [...this.#lists.fields, ...this.#lists.sequences]
      .filter((each) => !this.#needed.has(each))
      .map((each) => JSON.stringify(each));
  }

  #note(found: readonly unknown[]): boolean {
    for (const each of found) this.#needed.add(each);
    return found.length > 0;
  }
}

function fits(name: string, field: string): boolean {
  return name.endsWith('*') ? field.startsWith(name.slice(0, -1)) : field === name;
}
