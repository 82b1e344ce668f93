import { algorithms, type Banks, rowsOf } from './algorithm.js';
import { MeasurementError } from './measurement-error.js';
import { TpmAnswer } from './tpm-answer.js';

// The three commands of a TPM 2.0 that a measurement takes (TPM 2.0 Library, part 3: 22.2, 22.4, 30.2). Everything is
// big-endian. A command is a tag, its whole length, a code, then its parameters; so is an answer, with a result for the code.

/** What a command's bytes are to be answered with. Throws a MeasurementError for any other answer. */
export interface TpmCommand<T> {
  readonly bytes: Uint8Array;
  readonly parse: (answer: Uint8Array) => T;
}

const tag = { noSessions: 0x8001, sessions: 0x8002 } as const;
const capabilityPcrs = 5;

/** Registers are selected by bits: three bytes for the 24 that a PC's TPM has. */
const selectBytes = 3;

/** The names of the banks that have a register. */
export function tpmBanks(pcr: number): TpmCommand<readonly string[]> {
  return command('TPM2_GetCapability', 0x17a, [u32(capabilityPcrs), u32(0), u32(1)], (answer) => {
    answer.u8(); // Whether there is more; all banks come in one answer.
    if (answer.u32() !== capabilityPcrs) throw new MeasurementError('the TPM tells of another capability');
    const banks = selections(answer, pcr).map((id) => algorithms.find((row) => row.id === id) ?? id);
    const unknown = banks.find((bank) => typeof bank === 'number');
    if (unknown !== undefined) {
      throw new MeasurementError(
        `the TPM has a bank 0x${unknown.toString(16)}, which cannot be extended here: switch it off with tpm2_pcrallocate`,
      );
    }
    return banks.flatMap((bank) => (typeof bank === 'number' ? [] : [bank.name]));
  });
}

/** The values of a register in these banks, of which there are at most eight: so many fit into one answer. */
export function tpmRead(pcr: number, banks: readonly string[]): TpmCommand<Banks> {
  const rows = rowsOf(banks);
  const select = Buffer.alloc(selectBytes);
  select[pcr >> 3] = 1 << (pcr & 7);
  const selected = rows.map(({ id }) => Buffer.concat([u16(id), u8(selectBytes), select]));
  return command('TPM2_PCR_Read', 0x17e, [u32(rows.length), ...selected], (answer) => {
    answer.u32(); // How often any register was changed.
    const told = selections(answer, pcr);
    const count = answer.u32();
    const values = Array.from({ length: Math.min(count, told.length) }, () => answer.take(answer.u16()));
    return Object.fromEntries(
      rows.map(({ id, name, bytes }) => {
        const value = values[told.indexOf(id)];
        if (value?.length !== bytes)
          throw new MeasurementError(`the TPM does not tell PCR ${pcr} of bank ${name}`);
        return [name, value.toString('hex')];
      }),
    );
  });
}

/** Extends a register in these banks at once. */
export function tpmExtend(pcr: number, digests: Banks): TpmCommand<void> {
  const rows = rowsOf(Object.keys(digests));
  // A session that proves an empty password: nonce, attributes and password are of no length.
  const session = Buffer.concat([u32(0x40000009), u16(0), u8(0), u16(0)]);
  const values = rows.map(({ id, name }) =>
    Buffer.concat([u16(id), Buffer.from(digests[name] ?? '', 'hex')]),
  );
  const parameters = [u32(pcr), u32(session.length), session, u32(rows.length), ...values];
  return command('TPM2_PCR_Extend', 0x182, parameters, () => undefined, tag.sessions);
}

function command<T>(
  name: string,
  code: number,
  parameters: readonly Uint8Array[],
  parse: (answer: TpmAnswer) => T,
  kind: number = tag.noSessions,
): TpmCommand<T> {
  const body = Buffer.concat(parameters);
  return {
    bytes: Buffer.concat([u16(kind), u32(10 + body.length), u32(code), body]),
    parse: (bytes) => {
      const answer = new TpmAnswer(bytes);
      answer.u16();
      answer.u32();
      const result = answer.u32();
      if (result === 0) return parse(answer);
      throw new MeasurementError(
        `the TPM answers ${name} with 0x${result.toString(16)}: tpm2_rc_decode 0x${result.toString(16)} tells what that is`,
      );
    },
  };
}

/** The hashes of a TPML_PCR_SELECTION whose banks have this register. */
function selections(answer: TpmAnswer, pcr: number): readonly number[] {
  const banks = Array.from({ length: Math.min(answer.u32(), algorithms.length * 2) }, () => {
    const id = answer.u16();
    const bits = answer.take(answer.u8());
    return { id, has: ((bits[pcr >> 3] ?? 0) & (1 << (pcr & 7))) !== 0 };
  });
  return banks.filter(({ has }) => has).map(({ id }) => id);
}

function u8(value: number): Buffer {
  return Buffer.from([value]);
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
