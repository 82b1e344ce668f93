import { MeasurementError, rowsOf } from './register.js';
import { command, emptyPassword, selectBytes, tag, type TpmCommand, u16, u32, u8 } from './tpm-command.js';
import { tpmBanks, tpmRead } from './tpm-register.js';
import type { TpmConnector } from './tpm-transport.js';

// The TPM 2.0 commands needed for a quote (TPM 2.0 Library, part 3: 18.4, 24.1, 28.4). Structures: part 2.

const algorithm = { none: 0x0010, ecc: 0x0023, sha256: 0x000b, ecdsa: 0x0018 } as const;
const curveP256 = 0x0003;

/** The hierarchy of the platform's identity: the key is the same until the TPM is replaced (part 1, 14.3). */
const endorsement = 0x4000000b;

/** fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, restricted, sign (part 2, 8.3). */
const attestationKey = 0x0005_0072;

// The TPM 2.0 commands that read an NV index (TPM 2.0 Library, part 3: 31.6, 31.13).

/** Every TPM answers so many bytes at once: the least of MAX_NV_BUFFER_SIZE (TCG PC Client Platform TPM Profile). */
const nvReadBytes = 512;

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

/** Returns the number of bytes of an index. */
function tpmNvSize(index: number): TpmCommand<number> {
  return command('TPM2_NV_ReadPublic', 0x169, [u32(index)], (answer) => {
    answer.u16(); // size of TPMS_NV_PUBLIC
    answer.u32(); // nvIndex
    answer.u16(); // nameAlg
    answer.u32(); // attributes
    answer.take(answer.u16()); // authPolicy
    return answer.u16();
  });
}

/** Reads a part of an index, which must be readable with its own empty password. */
function tpmNvRead(index: number, offset: number, length: number): TpmCommand<Uint8Array> {
  const parameters = [u32(index), u32(index), ...emptyPassword(), u16(length), u16(offset)];
  return command(
    'TPM2_NV_Read',
    0x14e,
    parameters,
    (answer) => {
      answer.u32(); // size of the parameters
      return new Uint8Array(answer.take(answer.u16()));
    },
    tag.sessions,
  );
}

/** Reads all of an index. Throws a MeasurementError that names it. */
async function readNvIndex(
  index: number,
  run: <T>(command: TpmCommand<T>) => Promise<T>,
): Promise<Uint8Array> {
  try {
    const size = await run(tpmNvSize(index));
    const parts: Uint8Array[] = [];
    for (let at = 0; at < size; at += nvReadBytes)
      parts.push(await run(tpmNvRead(index, at, Math.min(nvReadBytes, size - at))));
    return new Uint8Array(Buffer.concat(parts));
  } catch (error) {
    if (!(error instanceof MeasurementError)) throw error;
    throw new MeasurementError(
      `the NV index 0x${index.toString(16)} of the TPM cannot be read: ${error.message}; it must have the attribute authread and an empty password`,
      { cause: error },
    );
  }
}

/** A key in the TPM. */
interface TpmKey {
  readonly handle: number;
  /** TPMT_PUBLIC. */
  readonly publicArea: Uint8Array;
}

/** A quote, as the TPM returns it. */
interface TpmQuoted {
  /** TPMS_ATTEST: what is signed. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
}

/**
 * Makes the attestation key: ECC P-256, derived from the seed of the endorsement hierarchy and this template, so each call makes
 * the same key, and nothing needs to be stored.
 */
function tpmCreateAttestationKey(): TpmCommand<TpmKey> {
  const publicArea = Buffer.concat([
    u16(algorithm.ecc),
    u16(algorithm.sha256),
    u32(attestationKey),
    u16(0), // no policy
    u16(algorithm.none), // nothing is encrypted with it
    u16(algorithm.ecdsa),
    u16(algorithm.sha256),
    u16(curveP256),
    u16(algorithm.none), // no key derivation
    u16(0),
    u16(0),
  ]);
  const sensitive = Buffer.concat([u16(0), u16(0)]); // no password, no data
  const parameters = [
    u32(endorsement),
    ...emptyPassword(),
    sized(sensitive),
    sized(publicArea),
    u16(0), // no outside info
    u32(0), // no creation PCRs
  ];
  return command(
    'TPM2_CreatePrimary',
    0x131,
    parameters,
    (answer) => {
      const handle = answer.u32();
      answer.u32(); // size of the parameters
      return { handle, publicArea: new Uint8Array(answer.take(answer.u16())) };
    },
    tag.sessions,
  );
}

/** Signs registers of one bank and some bytes. */
function tpmQuote(
  { handle }: Pick<TpmKey, 'handle'>,
  bank: string,
  pcrs: readonly number[],
  extraData: Uint8Array,
): TpmCommand<TpmQuoted> {
  const select = Buffer.alloc(selectBytes);
  for (const pcr of pcrs) select[pcr >> 3] = (select[pcr >> 3] ?? 0) | (1 << (pcr & 7));
  const selections = rowsOf([bank]).map(({ id }) => Buffer.concat([u16(id), u8(selectBytes), select]));
  const parameters = [
    u32(handle),
    ...emptyPassword(),
    sized(extraData),
    u16(algorithm.none), // the scheme of the key
    u32(selections.length),
    ...selections,
  ];
  return command(
    'TPM2_Quote',
    0x158,
    parameters,
    (answer) => {
      const size = answer.u32();
      const length = answer.u16();
      return {
        attest: new Uint8Array(answer.take(length)),
        signature: new Uint8Array(answer.take(size - 2 - length)),
      };
    },
    tag.sessions,
  );
}

/** Removes a key from the TPM's memory. */
function tpmFlush({ handle }: Pick<TpmKey, 'handle'>): TpmCommand<void> {
  return command('TPM2_FlushContext', 0x165, [u32(handle)], () => undefined);
}

function sized(bytes: Uint8Array): Buffer {
  return Buffer.concat([u16(bytes.length), bytes]);
}
