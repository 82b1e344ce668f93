import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../harness/repository.js';
import type { Mutation } from './field-mutations.js';
import type { Sequence } from './sequences.js';

/** A change that a generated configuration and the guest allow, and why that is acceptable. */
interface ReviewedField {
  readonly methods: readonly string[];
  /** By the names of the .proto file; a final `*` matches any rest. */
  readonly fields: readonly string[];
  /** Absent: any kind. */
  readonly kinds?: readonly string[];
  /** A regular expression for the mutation's text; absent: any. */
  readonly detail?: string;
  /** The file of the workload; absent: any. */
  readonly workload?: string;
  readonly why: string;
}

interface ReviewedSequence {
  readonly kinds: readonly string[];
  /** A regular expression for the sequence's text. */
  readonly about: string;
  readonly why: string;
}

interface Lists {
  readonly fields: readonly ReviewedField[];
  readonly sequences: readonly ReviewedSequence[];
}

/** The reviewed list, which records the entries that were needed. */
export class ReviewedList {
  readonly #lists: Lists;
  readonly #details: readonly (RegExp | undefined)[];
  readonly #byField = new Map<string, readonly number[]>();
  readonly #needed = new Set<unknown>();

  /** `file`: its path in the repository. */
  constructor(file = 'tests/mutation/reviewed.json') {
    this.#lists = JSON.parse(readFileSync(join(repository, file), 'utf8')) as Lists;
    this.#details = this.#lists.fields.map(({ detail }) =>
      detail === undefined ? undefined : new RegExp(detail),
    );
  }

  get size(): number {
    return this.#lists.fields.length + this.#lists.sequences.length;
  }

  /** Returns the positions of the entries that match a mutation. `workload`: its name, which begins with its file. */
  entriesFor(
    method: string,
    { field, kind, detail }: Pick<Mutation, 'field' | 'kind' | 'detail'>,
    workload: string,
  ): readonly number[] {
    return this.#fieldEntries(method, field).filter((index) => {
      const entry = this.#lists.fields[index];
      return (
        entry !== undefined &&
        (entry.kinds?.includes(kind) ?? true) &&
        workload.startsWith(entry.workload ?? '') &&
        (this.#details[index]?.test(detail) ?? true)
      );
    });
  }

  hasField(method: string, mutation: Mutation, workload: string): boolean {
    return this.#note(this.entriesFor(method, mutation, workload).map((index) => this.#lists.fields[index]));
  }

  /** Returns why the changes that a mutation matches are acceptable; empty: no entry matches. */
  reasonsFor(method: string, mutation: Mutation, workload: string): readonly string[] {
    return this.entriesFor(method, mutation, workload).flatMap(
      (index) => this.#lists.fields[index]?.why ?? [],
    );
  }

  /** Reports whether a mutation matches an entry that was not needed so far. */
  isUnneeded(method: string, mutation: Mutation, workload: string): boolean {
    return this.entriesFor(method, mutation, workload).some(
      (index) => !this.#needed.has(this.#lists.fields[index]),
    );
  }

  /** For any kind of mutation. */
  #fieldEntries(method: string, field: string): readonly number[] {
    const key = `${method} ${field}`;
    const known = this.#byField.get(key);
    if (known !== undefined) return known;
    const found = [...this.#lists.fields.keys()].filter((index) => {
      const entry = this.#lists.fields[index];
      return entry?.methods.includes(method) === true && entry.fields.some((name) => fits(name, field));
    });
    this.#byField.set(key, found);
    return found;
  }

  hasSequence({ kind, about }: Sequence): boolean {
    return this.#note(
      this.#lists.sequences.filter(
        (each) => each.kinds.includes(kind) && new RegExp(`^(${each.about})$`).test(about),
      ),
    );
  }

  /** Returns unused entries. */
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
