import { toHex } from '../byte-reader.js';
import type { SnpValues } from '../snp/values.js';
import type { TdxValues } from '../tdx/values.js';
import type { ReferenceValues } from '../verify/values.js';

/** Values by the names that Trustee's shipped policy for processors asks for. */
export type TrusteeValues = Readonly<Record<string, unknown>>;

/** A TCB part has one byte. */
const highest = 255;

/**
 * Returns the reference values of a values file by the names that ear_default_policy_cpu.rego of Trustee asks for (commit
 * 78962cd4). Trustee has a list for each name: values of several tuples are mixed there, which this verifier never does. A minimum
 * becomes the list of all levels from it on. What the shipped policy asks for and the values file does not have is left out.
 */
export function trusteeValues({ snp, tdx }: Pick<ReferenceValues, 'snp' | 'tdx'>): TrusteeValues {
  return { ...(snp.length === 0 ? {} : snpNames(snp)), ...(tdx.length === 0 ? {} : tdxNames(tdx)) };
}

/** Encodes a message of the `sample` kind for Trustee's reference value provider: it is not signed. */
export function sampleMessage(values: TrusteeValues): string {
  const payload = Buffer.from(JSON.stringify(values)).toString('base64');
  return `${JSON.stringify({ version: '0.1.0', type: 'sample', payload }, undefined, 1)}\n`;
}

function snpNames(tuples: readonly SnpValues[]): TrusteeValues {
  const levelsOf = (part: 'bootloader' | 'tee' | 'snp' | 'microcode'): readonly number[] => {
    const min = Math.min(...tuples.map(({ minimumTcb }) => minimumTcb[part] ?? 0));
    return Array.from({ length: highest + 1 - min }, (_, index) => min + index);
  };
  const bits = (shift: bigint, count: bigint) => (policy: bigint) =>
    Number((policy >> shift) & ((1n << count) - 1n));
  const flag = (shift: bigint) => (policy: bigint) => ((policy >> shift) & 1n) === 1n;
  // Compared by ==, not as a list.
  const one = (name: string, of: (policy: bigint) => unknown): TrusteeValues => {
    const [value, ...others] = unique(tuples.map(({ policy }) => of(policy)));
    return others.length > 0 ? {} : { [name]: value };
  };
  return {
    snp_launch_measurement: unique(tuples.map(({ measurement }) => toHex(measurement))),
    snp_bootloader: levelsOf('bootloader'),
    snp_tee_svn: levelsOf('tee'),
    snp_snp_svn: levelsOf('snp'),
    snp_microcode: levelsOf('microcode'),
    ...one('snp_guest_abi_minor', bits(0n, 8n)),
    ...one('snp_guest_abi_major', bits(8n, 8n)),
    ...one('snp_smt_allowed', flag(16n)),
    ...one('snp_single_socket', flag(20n)),
  };
}

function tdxNames(tuples: readonly TdxValues[]): TrusteeValues {
  const xfam = (value: bigint): string => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    return bytes.toString('hex');
  };
  const rtmr = (index: number): readonly string[] =>
    unique(tuples.map(({ rtmrs }) => rtmrs[index]).filter((one) => one instanceof Uint8Array)).map(toHex);
  return {
    mr_td: unique(tuples.map(({ mrTd }) => toHex(mrTd))),
    rtmr_1: rtmr(1),
    rtmr_2: rtmr(2),
    xfam: unique(tuples.map((tuple) => xfam(tuple.xfam))),
  };
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}
