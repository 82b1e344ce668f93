import assert from 'node:assert/strict';
import { arch } from 'node:process';
import { test } from 'node:test';
import { missingCallsFilter, seccompFilter } from './seccomp-filter.js';

const architecture = arch === 'arm64' ? 0xc00000b7 : 0xc000003e;
const Allow = 0x7fff0000;
const Kill = 0x80000000;
const errno = (number: number): number => 0x00050000 | number;

/** Evaluates classic BPF on struct seccomp_data, as the kernel does. */
function evaluate(filter: Buffer, number: number, values: readonly bigint[] = [], at = architecture): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number, 0);
  data.writeUInt32LE(at, 4);
  for (const [index, value] of values.entries()) data.writeBigUInt64LE(value, 16 + index * 8);
  let accumulator = 0;
  for (let next = 0; next < filter.length / 8; next++) {
    const [code, matched, other] = [
      filter.readUInt16LE(next * 8),
      filter[next * 8 + 2],
      filter[next * 8 + 3],
    ];
    const value = filter.readUInt32LE(next * 8 + 4);
    if (code === 0x20) accumulator = data.readUInt32LE(value);
    else if (code === 0x54) accumulator = (accumulator & value) >>> 0;
    else if (code === 0x15) next += (accumulator === value ? matched : other) ?? 0;
    else if (code === 0x35) next += (accumulator >= value ? matched : other) ?? 0;
    else return value;
  }
  throw new Error('the filter has no end');
}

test('a call is allowed, allowed with some arguments, fails, or ends the process', () => {
  const filter = seccompFilter({
    allowed: new Map([
      [1, undefined],
      [56, { argument: 0, mask: 0xff00, values: [0x100, 0x200] }],
      [41, { argument: 2, mask: 0xffffffff, values: [] }],
      [3, undefined],
    ]),
    killed: [59, 101],
  });
  assert.equal(evaluate(filter, 1), Allow);
  assert.equal(evaluate(filter, 3), Allow);
  assert.equal(evaluate(filter, 56, [0x1ffn]), Allow);
  assert.equal(evaluate(filter, 56, [0x200n]), Allow);
  assert.equal(evaluate(filter, 56, [0x300n]), errno(1));
  // The kernel reads the low half of such an argument only.
  assert.equal(evaluate(filter, 56, [0xffff_ffff_0000_0100n]), Allow);
  assert.equal(evaluate(filter, 41, [0n, 0n, 0n]), errno(1));
  assert.equal(evaluate(filter, 59), Kill);
  assert.equal(evaluate(filter, 101), Kill);
  assert.equal(evaluate(filter, 2), errno(38));
});

test('some calls are missing, some limited, others are allowed', () => {
  const limited = new Map([[56, { argument: 0, mask: 0xff00, values: [0x100] }]]);
  const filter = missingCallsFilter([425, 426], limited);
  assert.equal(evaluate(filter, 56, [0x111n]), Allow);
  assert.equal(evaluate(filter, 56, [0x11n]), errno(1));
  assert.equal(evaluate(filter, 425), errno(38));
  assert.equal(evaluate(filter, 426), errno(38));
  assert.equal(evaluate(filter, 424), Allow);
  assert.equal(evaluate(filter, 425, [], 0x40000003), Kill);
});

test('calls of another architecture and of the x32 ABI end the process', () => {
  const filter = seccompFilter({ allowed: new Map([[1, undefined]]), killed: [] });
  assert.equal(evaluate(filter, 1, [], 0x40000003), Kill);
  assert.equal(evaluate(filter, 0x40000001), Kill);
});
