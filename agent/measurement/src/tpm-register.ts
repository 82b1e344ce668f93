import { algorithms, type Banks, MeasurementError, type Register, rowsOf } from './register.js';
import {
  command,
  emptyPassword,
  selectBytes,
  tag,
  type TpmAnswer,
  type TpmCommand,
  u16,
  u32,
  u8,
} from './tpm-command.js';
import type { TpmTransport } from './tpm-transport.js';

// The three TPM 2.0 commands needed for measurement (TPM 2.0 Library, part 3: 22.2, 22.4, 30.2). Those for evidence are in
// quote-registers.ts.

const capabilityPcrs = 5;

/**
 * A PCR of a TPM. Every bank that contains the register is extended: a bank left out could be extended with anything
 * later, and quoted.
 */
export function tpmRegister(pcr: number, transport: TpmTransport): Register {
  const run = async <T>({ bytes, parse }: TpmCommand<T>): Promise<T> => parse(await transport(bytes));
  return {
    name: `PCR ${pcr}`,
    kind: 'tpm',
    index: pcr,
    read: async (): Promise<Banks> => {
      const banks = await run(tpmBanks(pcr));
      if (banks.length === 0)
        throw new MeasurementError(`no bank of the TPM has PCR ${pcr}: run tpm2_getcap pcrs to list them`);
      return run(tpmRead(pcr, banks));
    },
    extend: (digests) => run(tpmExtend(pcr, digests)),
  };
}

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
function tpmExtend(pcr: number, digests: Banks): TpmCommand<void> {
  const rows = rowsOf(Object.keys(digests));
  const values = rows.map(({ id, name }) =>
    Buffer.concat([u16(id), Buffer.from(digests[name] ?? '', 'hex')]),
  );
  const parameters = [u32(pcr), ...emptyPassword(), u32(rows.length), ...values];
  return command('TPM2_PCR_Extend', 0x182, parameters, () => undefined, tag.sessions);
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
