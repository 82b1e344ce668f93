import { createHash } from 'node:crypto';

/** A hash algorithm of a register bank. */
interface AlgorithmRow {
  /** The bank's name in tpm2-tools. */
  readonly name: string;
  /** The name in OpenSSL. */
  readonly hash: string;
  /** TPM_ALG_ID, TCG Algorithm Registry. */
  readonly id: number;
  readonly bytes: number;
}

export const algorithms: readonly AlgorithmRow[] = [
  { name: 'sha1', hash: 'sha1', id: 0x0004, bytes: 20 },
  { name: 'sha256', hash: 'sha256', id: 0x000b, bytes: 32 },
  { name: 'sha384', hash: 'sha384', id: 0x000c, bytes: 48 },
  { name: 'sha512', hash: 'sha512', id: 0x000d, bytes: 64 },
  { name: 'sm3_256', hash: 'sm3', id: 0x0012, bytes: 32 },
  { name: 'sha3_256', hash: 'sha3-256', id: 0x0027, bytes: 32 },
  { name: 'sha3_384', hash: 'sha3-384', id: 0x0028, bytes: 48 },
  { name: 'sha3_512', hash: 'sha3-512', id: 0x0029, bytes: 64 },
];

/** A register that can only be extended until the machine restarts. */
export interface Register {
  /** `PCR 23`, `RTMR 3`. */
  readonly name: string;
  /** The event log it belongs to. */
  readonly kind: 'tpm' | 'rtmr';
  /** Its number in the event log. */
  readonly index: number;
  /** Returns the values of all banks. Throws a MeasurementError. */
  read(): Promise<Banks>;
  /** Extends each bank by its digest. Throws a MeasurementError. */
  extend(digests: Banks): Promise<void>;
}

/** A register or a hardware report is missing or failed. The message says how to fix it. */
export class MeasurementError extends Error {
  override readonly name = 'MeasurementError';
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Register values by algorithm name, in lower-case hex: a register has one value per bank. */
export type Banks = Readonly<Record<string, string>>;

/** Returns the digest of some bytes for each bank. */
export function digestsFor(banks: readonly string[], bytes: Uint8Array): Banks {
  return Object.fromEntries(
    rowsOf(banks).map(({ name, hash }) => [name, createHash(hash).update(bytes).digest('hex')]),
  );
}

/** Returns a register's values after an extend: the hash of old value and digest. */
export function extended(before: Banks, digests: Banks): Banks {
  return Object.fromEntries(
    rowsOf(Object.keys(digests)).map(({ name, hash }) => {
      const joined = Buffer.from(`${before[name] ?? ''}${digests[name] ?? ''}`, 'hex');
      return [name, createHash(hash).update(joined).digest('hex')];
    }),
  );
}

/** Returns the rows of these banks, in the order of the table. Throws a RangeError for an unknown name. */
export function rowsOf(banks: readonly string[]): readonly AlgorithmRow[] {
  const unknown = banks.find((bank) => !algorithms.some(({ name }) => name === bank));
  if (unknown !== undefined) throw new RangeError(`${unknown} is not a known hash algorithm`);
  return algorithms.filter(({ name }) => banks.includes(name));
}

export function sameBanks(a: Banks, b: Banks): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
