import type { EvidenceSource } from '../configuration.js';
import { nearest } from '../diagnostics/misspelled-name.js';
import { listOfTexts } from './collections.js';
import { expected, read, type Reading, type ValueType } from './value-type.js';

const sourceNames: readonly EvidenceSource[] = ['configfs-tsm', 'attestation-agent', 'tpm'];

const expectedSources = `a list of ${sourceNames.map((name) => `"${name}"`).join(', ')}, each once`;

function sourcesOf(texts: readonly string[]): Reading<readonly EvidenceSource[]> {
  const unknown = texts.find((text) => !sourceNames.some((name) => name === text));
  if (unknown !== undefined) {
    const near = nearest(unknown, sourceNames);
    return near === undefined
      ? expected(expectedSources)
      : expected(expectedSources, `did you mean "${near}"?`);
  }
  const sources = sourceNames.filter((name) => texts.includes(name));
  return sources.length === texts.length ? read(sources) : expected(expectedSources);
}

/** Sources of evidence. */
export const evidenceSources: ValueType<readonly EvidenceSource[]> = listOfTexts({
  name: 'list of sources of evidence',
  what: expectedSources,
  items: { enum: sourceNames },
  fromTexts: sourcesOf,
});

const expectedRegister = 'a register of a TPM that a guest can extend, from 0 to 16, or 23';

/** A PCR. Registers 17 to 22 are reserved for a dynamic launch (TCG PC Client Platform TPM Profile). */
export const register: ValueType<number> = {
  name: 'integer, from 0 to 16, or 23',
  schema: {
    anyOf: [
      { type: 'integer', minimum: 0, maximum: 16 },
      { type: 'integer', minimum: 23, maximum: 23 },
    ],
  },
  fromToml: (value) => (value.kind === 'integer' ? registerOf(value.value) : expected(expectedRegister)),
  fromText: (text) => (/^\d{1,2}$/.test(text) ? registerOf(BigInt(text)) : expected(expectedRegister)),
  write: String,
};

function registerOf(value: bigint): Reading<number> {
  return (value >= 0n && value <= 16n) || value === 23n ? read(Number(value)) : expected(expectedRegister);
}

const expectedCheckpointRegister = '"off" or a register of a TPM that the guest cannot reset, from 0 to 15';

/** `"off"`, or a PCR that keeps what was extended until the guest ends. */
export const checkpointRegister: ValueType<'off' | number> = {
  name: '"off", or integer, from 0 to 15',
  schema: { anyOf: [{ enum: ['off'] }, { type: 'integer', minimum: 0, maximum: 15 }] },
  fromToml(value) {
    if (value.kind === 'string' && value.value === 'off') return read('off');
    return value.kind === 'integer'
      ? checkpointRegisterOf(value.value)
      : expected(expectedCheckpointRegister);
  },
  fromText(text) {
    if (text === 'off') return read('off');
    return /^\d{1,2}$/.test(text) ? checkpointRegisterOf(BigInt(text)) : expected(expectedCheckpointRegister);
  },
  write: (value) => (value === 'off' ? '"off"' : String(value)),
};

function checkpointRegisterOf(value: bigint): Reading<number> {
  return value >= 0n && value <= 15n ? read(Number(value)) : expected(expectedCheckpointRegister);
}

const expectedNvIndex = '"off", or an NV index of a TPM, from 0x1000000 to 0x1ffffff';

/** `"off"`, or the handle of an NV index (TPM 2.0 Library, part 2, 7.2: handles of type 01). */
export const nvIndex: ValueType<'off' | number> = {
  name: '"off", or integer, from 0x1000000 to 0x1ffffff',
  schema: { anyOf: [{ enum: ['off'] }, { type: 'integer', minimum: 0x100_0000, maximum: 0x1ff_ffff }] },
  fromToml(value) {
    if (value.kind === 'string' && value.value === 'off') return read('off');
    return value.kind === 'integer' ? nvIndexOf(value.value) : expected(expectedNvIndex);
  },
  fromText(text) {
    if (text === 'off') return read('off');
    return /^(?:0x[0-9a-f]{1,8}|\d{1,10})$/.test(text) ? nvIndexOf(BigInt(text)) : expected(expectedNvIndex);
  },
  write: (value) => (value === 'off' ? '"off"' : `0x${value.toString(16)}`),
};

function nvIndexOf(value: bigint): Reading<number> {
  return value >= 0x100_0000n && value <= 0x1ff_ffffn ? read(Number(value)) : expected(expectedNvIndex);
}
