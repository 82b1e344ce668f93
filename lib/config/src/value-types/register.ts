import { expected, type Reading, read, type ValueType } from './value-type.js';

const expectedText = 'a register of a TPM that a guest can extend, from 0 to 16, or 23';

/** A PCR. Registers 17 to 22 are reserved for a dynamic launch (TCG PC Client Platform TPM Profile). */
export const register: ValueType<number> = {
  name: 'integer, from 0 to 16, or 23',
  schema: {
    anyOf: [
      { type: 'integer', minimum: 0, maximum: 16 },
      { type: 'integer', minimum: 23, maximum: 23 },
    ],
  },
  fromToml: (value) => (value.kind === 'integer' ? within(value.value) : expected(expectedText)),
  fromText: (text) => (/^\d{1,2}$/.test(text) ? within(BigInt(text)) : expected(expectedText)),
  write: String,
};

function within(value: bigint): Reading<number> {
  return (value >= 0n && value <= 16n) || value === 23n ? read(Number(value)) : expected(expectedText);
}
