import { algorithms, type Banks } from './algorithm.js';
import { MeasurementError } from './measurement-error.js';
import type { Register } from './register.js';
import type { RunTool } from './tpm-tools.js';

/**
 * A TPM's PCR, through tpm2-tools. Every bank that has the register is extended: one that was left out could be filled
 * with anything later, and quoted.
 */
export function tpmRegister(pcr: number, run: RunTool): Register {
  return {
    name: `PCR ${pcr}`,
    kind: 'tpm',
    index: pcr,
    read: async () => {
      const banks = activeBanks(await run('tpm2_getcap', ['pcrs']), pcr);
      const selection = banks.map((bank) => `${bank}:${pcr}`).join('+');
      return values(await run('tpm2_pcrread', [selection]), pcr, banks);
    },
    extend: async (digests) => {
      const list = Object.entries(digests).map(([bank, digest]) => `${bank}=${digest}`);
      await run('tpm2_pcrextend', [`${pcr}:${list.join(',')}`]);
    },
  };
}

/** The banks that have the register, of lines such as `  - sha256: [ 0, 1, 2 ]`. */
function activeBanks(text: string, pcr: number): readonly string[] {
  const banks: string[] = [];
  for (const [, name = '', list = ''] of text.matchAll(/^\s*- (\w+): \[([\d, ]*)\]/gm)) {
    if (!list.split(',').some((number) => number.trim() === String(pcr))) continue;
    if (!algorithms.some((row) => row.name === name)) {
      throw new MeasurementError(
        `the TPM has a bank ${name}, which cannot be extended here: switch it off with tpm2_pcrallocate`,
      );
    }
    banks.push(name);
  }
  if (banks.length > 0) return banks;
  throw new MeasurementError(`no bank of the TPM has PCR ${pcr}: tpm2_getcap pcrs shows those it has`);
}

/** The values of `tpm2_pcrread`: a line `  sha256:`, then `    23: 0x…`. */
function values(text: string, pcr: number, banks: readonly string[]): Banks {
  const found = new Map<string, string>();
  let bank = '';
  for (const line of text.split('\n')) {
    bank = /^\s+(\w+):\s*$/.exec(line)?.[1] ?? bank;
    const [, number, value] = /^\s+(\d+)\s*: 0x([\dA-Fa-f]+)\s*$/.exec(line) ?? [];
    if (number === String(pcr) && value !== undefined) found.set(bank, value.toLowerCase());
  }
  const missing = banks.find((name) => !found.has(name));
  if (missing === undefined) return Object.fromEntries(found);
  throw new MeasurementError(`tpm2_pcrread did not tell PCR ${pcr} of bank ${missing}: is it version 5?`);
}
