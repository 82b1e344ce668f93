import type { Banks } from './algorithm.js';
import { MeasurementError } from './measurement-error.js';
import type { Register } from './register.js';
import { type TpmCommand, tpmBanks, tpmExtend, tpmRead } from './tpm-command.js';
import type { TpmTransport } from './tpm-transport.js';

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
