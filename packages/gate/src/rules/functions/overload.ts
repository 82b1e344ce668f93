import { bool, bytes, int, listOf, type ScalarName, string, type Type, uint } from '../language/type.js';
import type { Value } from '../language/value.js';

interface ScalarValues {
  bool: boolean;
  int: bigint;
  uint: bigint;
  string: string;
  bytes: Uint8Array;
}

type Values<P extends readonly ScalarName[]> = { -readonly [K in keyof P]: ScalarValues[P[K]] };

interface ResultValues extends ScalarValues {
  texts: readonly string[];
}

/** One way of calling a function or an operator: what the checker reads, and what is run. */
export interface Overload {
  /** Operators as the parser calls them: `_+_`. */
  readonly name: string;
  readonly style: 'operator' | 'function' | 'method';
  /** Of a method the first one is what stands before the dot. */
  readonly parameters: readonly Type[];
  readonly result: Type;
  /** Characters or bytes of the arguments that count as one step; absent: its length does not matter. */
  readonly unitsPerStep?: number;
  /** @throws RuleError */
  readonly run: (...values: never[]) => Value;
}

const scalars: Readonly<Record<ScalarName, Type>> = { bool, int, uint, string, bytes };

/** A row of the tables of functions, whose types and code the compiler compares. */
export function overload<const P extends readonly ScalarName[], R extends keyof ResultValues>(
  style: Overload['style'],
  name: string,
  parameters: P,
  result: R,
  run: (...values: Values<P>) => ResultValues[R],
  unitsPerStep?: number,
): Overload {
  return {
    name,
    style,
    parameters: parameters.map((parameter) => scalars[parameter]),
    result: result === 'texts' ? listOf(string) : scalars[result as ScalarName],
    run: run as unknown as Overload['run'],
    ...(unitsPerStep === undefined ? {} : { unitsPerStep }),
  };
}
