import { RuleError, type Value } from '../language/compiled.js';
import { bool, bytes, int, listOf, type ScalarName, string, type Type, uint } from '../language/type.js';

const scalars: Readonly<Record<ScalarName, Type>> = { bool, int, uint, string, bytes };

const min = -(2n ** 63n);
const max = 2n ** 63n - 1n;
const maxUnsigned = 2n ** 64n - 1n;

/** @throws RuleError */
export function checkedInt(value: bigint): bigint {
  if (value < min || value > max) throw new RuleError('a whole number of 64 bits cannot hold the result');
  return value;
}

/** @throws RuleError */
export function checkedUint(value: bigint): bigint {
  if (value < 0n || value > maxUnsigned)
    throw new RuleError('an unsigned number of 64 bits cannot hold the result');
  return value;
}

function notZero(divisor: bigint): bigint {
  if (divisor === 0n) throw new RuleError('division by zero');
  return divisor;
}

const arithmetic: Readonly<Record<string, (left: bigint, right: bigint) => bigint>> = {
  '_+_': (left, right) => left + right,
  '_-_': (left, right) => left - right,
  '_*_': (left, right) => left * right,
  '_/_': (left, right) => left / notZero(right),
  '_%_': (left, right) => left % notZero(right),
};

const comparisons: Readonly<Record<string, (left: string | bigint, right: string | bigint) => boolean>> = {
  '_<_': (left, right) => left < right,
  '_<=_': (left, right) => left <= right,
  '_>_': (left, right) => left > right,
  '_>=_': (left, right) => left >= right,
};

const numbers = ['int', 'uint'] as const;

/** Operators with operands of fixed types; `==`, `in`, `[]` and similar ones are compiled separately. */
export const operators: readonly Overload[] = [
  overload('operator', '-_', ['int'], 'int', (value) => checkedInt(-value)),
  ...Object.entries(arithmetic).flatMap(([name, run]) => [
    overload('operator', name, ['int', 'int'], 'int', (left, right) => checkedInt(run(left, right))),
    overload('operator', name, ['uint', 'uint'], 'uint', (left, right) => checkedUint(run(left, right))),
  ]),
  overload('operator', '_+_', ['string', 'string'], 'string', (left, right) => left + right, 16),
  overload('operator', '_+_', ['bytes', 'bytes'], 'bytes', joined, 16),
  ...Object.entries(comparisons).flatMap(([name, run]) => [
    ...numbers.flatMap((left) =>
      numbers.map((right) => overload('operator', name, [left, right], 'bool', run)),
    ),
    overload('operator', name, ['string', 'string'], 'bool', run, 256),
  ]),
];

function joined(left: Uint8Array, right: Uint8Array): Uint8Array {
  const both = new Uint8Array(left.length + right.length);
  both.set(left);
  both.set(right, left.length);
  return both;
}

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
