import type { Banks } from './algorithm.js';
import { MeasurementError } from './measurement-error.js';
import type { Register } from './register.js';
import { type TpmCommand, tpmBanks, tpmExtend, tpmRead } from './tpm-command.js';
import type { TpmTransport } from './tpm-transport.js';

/**
 * A TPM's PCR. Every bank that has the register is extended: one that was left out could be filled with anything later,
 * and quoted.
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
        throw new MeasurementError(`no bank of the TPM has PCR ${pcr}: tpm2_getcap pcrs shows those it has`);
      return run(tpmRead(pcr, banks));
    },
    extend: (digests) => run(tpmExtend(pcr, digests)),
  };
}
