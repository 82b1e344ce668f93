import { rowsOf } from './algorithm.js';
import { MeasurementError } from './measurement-error.js';
import { type TpmCommand, tpmBanks, tpmRead } from './tpm-command.js';
import { readNvIndex } from './tpm-nv-command.js';
import { tpmCreateAttestationKey, tpmFlush, tpmQuote, type TpmQuoted } from './tpm-quote-command.js';
import type { TpmConnector } from './tpm-transport.js';

/** A quote of a TPM, with what is needed to verify it. */
export interface TpmEvidence extends TpmQuoted {
  /** TPMT_PUBLIC of the attestation key. */
  readonly publicArea: Uint8Array;
  /** The quoted bank. */
  readonly bank: string;
  /** The values of the quoted registers by their numbers, in hex. */
  readonly values: ReadonlyMap<number, string>;
  /** The content of the NV index. */
  readonly certificate: Uint8Array | undefined;
}

/** What is quoted. */
export interface QuoteRequest {
  readonly pcrs: readonly number[];
  readonly extraData: Uint8Array;
  /** The NV index with the certificates of the attestation key; undefined: there is none. */
  readonly certificateIndex?: number | undefined;
}

/** The banks that are quoted: the first that the TPM has. */
const preferred = ['sha256', 'sha384'] as const;

/** How often a quote is made again because a register changed between its value and the quote. */
const attempts = 5;

/**
 * Quotes registers, with a key that exists for this call only. The values are read before and after the quote, and are the quoted
 * ones. Throws a MeasurementError. Calls must not overlap: the TPM has place for few keys.
 */
export async function quoteRegisters(
  connector: TpmConnector,
  { pcrs, extraData, certificateIndex }: QuoteRequest,
): Promise<TpmEvidence> {
  return await connector(async (transport) => {
    const run = async <T>({ bytes, parse }: TpmCommand<T>): Promise<T> => parse(await transport(bytes));
    const banks = await run(tpmBanks(pcrs[0] ?? 0));
    const bank = preferred.find((name) => banks.includes(name));
    if (bank === undefined)
      throw new MeasurementError(
        `the TPM has no bank sha256 or sha384, but ${banks.join(', ') || 'none'}: enable one with tpm2_pcrallocate`,
      );
    const [row] = rowsOf([bank]);
    const read = async (): Promise<ReadonlyMap<number, string>> => {
      const values = new Map<number, string>();
      for (const pcr of pcrs) values.set(pcr, (await run(tpmRead(pcr, [bank])))[row?.name ?? ''] ?? '');
      return values;
    };
    const certificate = certificateIndex === undefined ? undefined : await readNvIndex(certificateIndex, run);
    const key = await run(tpmCreateAttestationKey());
    try {
      let values = await read();
      for (let attempt = 0; attempt < attempts; attempt += 1) {
        const quoted = await run(tpmQuote(key, bank, pcrs, extraData));
        const now = await read();
        if (pcrs.every((pcr) => values.get(pcr) === now.get(pcr)))
          return { ...quoted, publicArea: key.publicArea, bank, values, certificate };
        values = now;
      }
    } finally {
      await run(tpmFlush(key));
    }
    throw new MeasurementError('registers of the TPM change all the time: another program extends them');
  });
}
