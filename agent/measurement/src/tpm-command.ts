import { algorithms, type Banks, rowsOf } from './algorithm.js';
import { MeasurementError } from './measurement-error.js';
import { TpmAnswer } from './tpm-answer.js';

// The three TPM 2.0 commands needed for measurement (TPM 2.0 Library, part 3: 22.2, 22.4, 30.2). All numbers are
// big-endian. A command is a tag, its total length, a command code, then its parameters; a response has the same layout
// with a response code. Those for evidence are in tpm-quote-command.ts.

/** A command and the decoder of its response. Throws a MeasurementError for an error response. */
export interface TpmCommand<T> {
  readonly bytes: Uint8Array;
  readonly parse: (answer: Uint8Array) => T;
}

export const tag = { noSessions: 0x8001, sessions: 0x8002 } as const;
const capabilityPcrs = 5;

/** Registers are selected by a bitmap: three bytes for the 24 registers of a PC's TPM. */
export const selectBytes = 3;

/** Requests the names of the banks that contain a register. */
export function tpmBanks(pcr: number): TpmCommand<readonly string[]> {
  return command('TPM2_GetCapability', 0x17a, [u32(capabilityPcrs), u32(0), u32(1)], (answer) => {
    answer.u8(); // moreData; all banks fit into one response
    if (answer.u32() !== capabilityPcrs) throw new MeasurementError('the TPM returned another capability');
    const banks = selections(answer, pcr).map((id) => algorithms.find((row) => row.id === id) ?? id);
    const unknown = banks.find((bank) => typeof bank === 'number');
    if (unknown !== undefined) {
      throw new MeasurementError(
        `the TPM has a bank 0x${unknown.toString(16)}, which is not supported: disable it with tpm2_pcrallocate`,
      );
    }
    return banks.flatMap((bank) => (typeof bank === 'number' ? [] : [bank.name]));
  });
}

/** Reads a register in these banks, of which there are at most eight: that many values fit into one response. */
export function tpmRead(pcr: number, banks: readonly string[]): TpmCommand<Banks> {
  const rows = rowsOf(banks);
  const select = Buffer.alloc(selectBytes);
  select[pcr >> 3] = 1 << (pcr & 7);
  const selected = rows.map(({ id }) => Buffer.concat([u16(id), u8(selectBytes), select]));
  return command('TPM2_PCR_Read', 0x17e, [u32(rows.length), ...selected], (answer) => {
    answer.u32(); // pcrUpdateCounter
    const returned = selections(answer, pcr);
    const count = answer.u32();
    const values = Array.from({ length: Math.min(count, returned.length) }, () => answer.take(answer.u16()));
    return Object.fromEntries(
      rows.map(({ id, name, bytes }) => {
        const value = values[returned.indexOf(id)];
        if (value?.length !== bytes)
          throw new MeasurementError(`the TPM returned no PCR ${pcr} of bank ${name}`);
        return [name, value.toString('hex')];
      }),
    );
  });
}

/** Extends a register in several banks at once. */
export function tpmExtend(pcr: number, digests: Banks): TpmCommand<void> {
  const rows = rowsOf(Object.keys(digests));
  const values = rows.map(({ id, name }) =>
    Buffer.concat([u16(id), Buffer.from(digests[name] ?? '', 'hex')]),
  );
  const parameters = [u32(pcr), ...emptyPassword(), u32(rows.length), ...values];
  return command('TPM2_PCR_Extend', 0x182, parameters, () => undefined, tag.sessions);
}

/** Authorizes a command by a password session with an empty password: nonce, attributes and password are empty. */
export function emptyPassword(): readonly Uint8Array[] {
  const session = Buffer.concat([u32(0x40000009), u16(0), u8(0), u16(0)]);
  return [u32(session.length), session];
}

/** Encodes a command. */
export function command<T>(
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
        `${name} failed with 0x${result.toString(16)}: run tpm2_rc_decode 0x${result.toString(16)}`,
      );
    },
  };
}

/** Returns the hashes of a TPML_PCR_SELECTION whose banks contain this register. */
function selections(answer: TpmAnswer, pcr: number): readonly number[] {
  const banks = Array.from({ length: Math.min(answer.u32(), algorithms.length * 2) }, () => {
    const id = answer.u16();
    const bits = answer.take(answer.u8());
    return { id, has: ((bits[pcr >> 3] ?? 0) & (1 << (pcr & 7))) !== 0 };
  });
  return banks.filter(({ has }) => has).map(({ id }) => id);
}

export function u8(value: number): Buffer {
  return Buffer.from([value]);
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
