import type { Message } from '@bufbuild/protobuf';
import type { ImageProcess } from '../../entrypoint/image-process.js';
import type { Type } from './type.js';

/** A checked and compiled part of an expression. */
export interface Compiled {
  readonly type: Type;
  /** @throws RuleError | BudgetExceeded */
  readonly run: (frame: Frame) => Value;
  /** Steps of one evaluation, without the additional cost of loops and long texts. */
  readonly weight: number;
  /** Its value, when it does not depend on the request. */
  readonly constant?: Value;
  /** The strings that it can be, when all are literals, as required for a pattern. */
  readonly texts?: readonly string[];
  /** All values that it can be, if they are known when the rule is compiled: members of a list of constants. */
  readonly among?: readonly Value[];
  /** For `has()`: the result for all requests of this method, when the method alone determines it. */
  readonly known?: boolean;
}

export function constant(type: Type, value: Value): Compiled {
  const texts = typeof value === 'string' ? { texts: [value] } : {};
  return { type, run: () => value, weight: 1, constant: value, ...texts };
}

/** Returns what is known of a value that can only be one of these. */
export function amongValues(among: readonly Value[]): Pick<Compiled, 'among' | 'texts'> {
  const texts = among.filter((value) => typeof value === 'string');
  return texts.length === among.length ? { among, texts } : { among };
}

/** A value of the language. `int` and `uint` are both bigints, distinguished by their type. */
export type Value =
  | boolean
  | bigint
  | string
  | Uint8Array
  | readonly Value[]
  | ReadonlyMap<Value, Value>
  | Message
  | ImageProcess
  | FieldValues;

/** A record: `container`, `peer`. */
export interface FieldValues {
  readonly [field: string]: Value | undefined;
}

/** Ends an evaluation that took too many steps. Unlike a RuleError, no expression can absorb it. */
export class BudgetExceeded extends Error {
  override readonly name = 'BudgetExceeded';
}

/** An operation on an invalid value, such as an index out of range or a missing key. `&&` and `||` may absorb it. */
export class RuleError extends Error {
  override readonly name = 'RuleError';
}

/** One evaluation of a rule: its variables and remaining steps. */
export class Frame {
  /** Variables of the rule, then those of its macros. */
  readonly slots: Value[];
  readonly #steps: number;
  #left: number;

  constructor(slots: number, steps: number) {
    this.slots = [];
    for (let slot = 0; slot < slots; slot += 1) this.slots.push(false);
    this.#steps = steps;
    this.#left = steps;
  }

  /** @throws BudgetExceeded */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new BudgetExceeded(`took more than ${this.#steps} steps`);
  }

  get spent(): number {
    return this.#steps - this.#left;
  }
}
