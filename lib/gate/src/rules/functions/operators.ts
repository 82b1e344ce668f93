import { RuleError } from '../language/frame.js';
import { type Overload, overload } from './overload.js';

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
