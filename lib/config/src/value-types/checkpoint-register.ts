import { expected, type Reading, read, type ValueType } from './value-type.js';

const expectedText = '"off" or a register of a TPM that the guest cannot reset, from 0 to 15';

/** `"off"`, or a PCR that keeps what was extended until the guest ends. */
export const checkpointRegister: ValueType<'off' | number> = {
  name: '"off", or integer, from 0 to 15',
  schema: { anyOf: [{ enum: ['off'] }, { type: 'integer', minimum: 0, maximum: 15 }] },
  fromToml(value) {
    if (value.kind === 'string' && value.value === 'off') return read('off');
    return value.kind === 'integer' ? within(value.value) : expected(expectedText);
  },
  fromText(text) {
    if (text === 'off') return read('off');
    return /^\d{1,2}$/.test(text) ? within(BigInt(text)) : expected(expectedText);
  },
  write: (value) => (value === 'off' ? '"off"' : String(value)),
};

function within(value: bigint): Reading<number> {
  return value >= 0n && value <= 15n ? read(Number(value)) : expected(expectedText);
}
