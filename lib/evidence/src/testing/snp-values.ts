import type { EndorsementKind } from '../snp/endorsement.js';
import type { SnpProduct } from '../snp/product.js';
import type { SnpTcb } from '../snp/tcb.js';

export const measurement: Buffer = Buffer.alloc(48, 0x4d);
export const hostData: Buffer = Buffer.alloc(32, 0x48);

export interface SnpTemplate {
  readonly product: SnpProduct;
  readonly kind: EndorsementKind;
  readonly version: number;
  readonly tcb: SnpTcb;
}

export const milan: SnpTemplate = {
  product: 'Milan',
  kind: 'VCEK',
  version: 3,
  tcb: { bootloader: 3, tee: 0, snp: 8, microcode: 200 },
};
export const turin: SnpTemplate = {
  product: 'Turin',
  kind: 'VCEK',
  version: 5,
  tcb: { fmc: 1, bootloader: 3, tee: 0, snp: 8, microcode: 0x41 },
};

/** The values file that accepts the guest of a template. */
export function makeValues(
  { product, tcb }: SnpTemplate,
  changes: Readonly<Record<string, unknown>> = {},
): object {
  return {
    product,
    measurement: measurement.toString('hex'),
    policy: '0x30000',
    host_data: hostData.toString('hex'),
    minimum_tcb: tcb,
    ...changes,
  };
}
