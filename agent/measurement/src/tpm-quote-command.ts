import { rowsOf } from './algorithm.js';
import { command, emptyPassword, selectBytes, tag, type TpmCommand, u16, u32, u8 } from './tpm-command.js';

// The TPM 2.0 commands needed for a quote (TPM 2.0 Library, part 3: 18.4, 24.1, 28.4). Structures: part 2.

const algorithm = { none: 0x0010, ecc: 0x0023, sha256: 0x000b, ecdsa: 0x0018 } as const;
const curveP256 = 0x0003;

/** The hierarchy of the platform's identity: the key is the same until the TPM is replaced (part 1, 14.3). */
const endorsement = 0x4000000b;

/** fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, restricted, sign (part 2, 8.3). */
const attestationKey = 0x0005_0072;

/** A key in the TPM. */
export interface TpmKey {
  readonly handle: number;
  /** TPMT_PUBLIC. */
  readonly publicArea: Uint8Array;
}

/** A quote, as the TPM returns it. */
export interface TpmQuoted {
  /** TPMS_ATTEST: what is signed. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
}

/**
 * Makes the attestation key: ECC P-256, derived from the seed of the endorsement hierarchy and this template, so each call makes
 * the same key, and nothing needs to be stored.
 */
export function tpmCreateAttestationKey(): TpmCommand<TpmKey> {
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
export function tpmQuote(
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
export function tpmFlush({ handle }: Pick<TpmKey, 'handle'>): TpmCommand<void> {
  return command('TPM2_FlushContext', 0x165, [u32(handle)], () => undefined);
}

function sized(bytes: Uint8Array): Buffer {
  return Buffer.concat([u16(bytes.length), bytes]);
}
