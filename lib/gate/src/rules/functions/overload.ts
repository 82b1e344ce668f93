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

/** A signature of a function or operator, for the checker and for evaluation. */
export interface Overload {
  /** Operators have the parser's names: `_+_`. */
  readonly name: string;
  readonly style: 'operator' | 'function' | 'method';
  /** The first one of a method is its receiver. */
  readonly parameters: readonly Type[];
  readonly result: Type;
  /** Characters or bytes of the arguments per step; absent when their length does not matter. */
  readonly unitsPerStep?: number;
  /** @throws RuleError */
  readonly run: (...values: never[]) => Value;
}

const scalars: Readonly<Record<ScalarName, Type>> = { bool, int, uint, string, bytes };

/** Defines an overload; the compiler checks the code against the declared types. */
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
