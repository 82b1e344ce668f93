import { createHash } from 'node:crypto';
import type { DeliveredDocument, HostData } from '../delivery.js';

type Field = Extract<HostData, { readonly ok: true }>['kind'];

/** Size in bytes of the field that the host fixes at launch: SNP's HOSTDATA, TDX's MRCONFIGID. */
export const hostDataBytes: { readonly [F in Field]: number } = { HOSTDATA: 32, MRCONFIGID: 48 };

/**
 * Returns the field's value that binds a document: the digest of its envelope, truncated or padded with zeros
 * (Confidential Containers, kbs/docs/initdata.md, "Integrity Binding for Different TEEs").
 */
export function hostDataDigest(
  { envelope, algorithm }: Pick<DeliveredDocument, 'envelope' | 'algorithm'>,
  field: Field,
): Uint8Array {
  const value = new Uint8Array(hostDataBytes[field]);
  value.set(createHash(algorithm.replace('-', '')).update(envelope).digest().subarray(0, value.length));
  return value;
}
