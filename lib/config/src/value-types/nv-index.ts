import { expected, type Reading, read, type ValueType } from './value-type.js';

const expectedText = '"off", or an NV index of a TPM, from 0x1000000 to 0x1ffffff';

/** `"off"`, or the handle of an NV index (TPM 2.0 Library, part 2, 7.2: handles of type 01). */
export const nvIndex: ValueType<'off' | number> = {
  name: '"off", or integer, from 0x1000000 to 0x1ffffff',
  schema: { anyOf: [{ enum: ['off'] }, { type: 'integer', minimum: 0x100_0000, maximum: 0x1ff_ffff }] },
  fromToml(value) {
    if (value.kind === 'string' && value.value === 'off') return read('off');
    return value.kind === 'integer' ? within(value.value) : expected(expectedText);
  },
  fromText(text) {
    if (text === 'off') return read('off');
    return /^(?:0x[0-9a-f]{1,8}|\d{1,10})$/.test(text) ? within(BigInt(text)) : expected(expectedText);
  },
  write: (value) => (value === 'off' ? '"off"' : `0x${value.toString(16)}`),
};

function within(value: bigint): Reading<number> {
  return value >= 0x100_0000n && value <= 0x1ff_ffffn ? read(Number(value)) : expected(expectedText);
}
