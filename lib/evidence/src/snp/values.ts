import { equalBytes, toHex } from '../byte-reader.js';
import { ObjectFields, parseTuples } from '../object-fields.js';
import {
  decodeTcb,
  mapParts,
  partBelow,
  type SnpProduct,
  snpProducts,
  type SnpTcb,
  tcbPartsOf,
  tcbText,
} from './tcb.js';
import { type SnpReport, tcbFields } from './report.js';

/** Bits of the guest policy (AMD 56860, "Guest Policy"). */
const migrationAgent = 1n << 18n;

const debug = 1n << 19n;

const mustBeOne = 1n << 17n;

/** Bits 26 to 63 have no meaning yet. */
const known = (1n << 26n) - 1n;

/** One accepted guest. A report is accepted if everything of one tuple agrees; tuples are never mixed. */
export interface SnpValues {
  readonly product: SnpProduct;
  readonly measurement: Uint8Array;
  readonly policy: bigint;
  readonly minimumTcb: SnpTcb;
  readonly hostData: Uint8Array | 'any';
}

/**
 * Parses the `snp` part of a values file: a list of objects with `product`, `measurement`, `policy`, `host_data` (or `any`)
 * and `minimum_tcb`. All must be written: nothing is accepted because it was left out. Throws an EvidenceFormError.
 */
export function parseSnpValues(json: unknown): readonly SnpValues[] {
  return parseTuples(json, 'snp', (item, path) => {
    const fields = new ObjectFields(item, path, [
      'product',
      'measurement',
      'policy',
      'host_data',
      'minimum_tcb',
    ]);
    const product = fields.oneOf('product', snpProducts);
    return {
      product,
      measurement: fields.bytes('measurement', 48),
      policy: parsePolicy(fields),
      hostData: fields.bytesOrAny('host_data', 32),
      minimumTcb: parseMinimum(fields.member('minimum_tcb'), `${path}.minimum_tcb`, product),
    };
  });
}

function parsePolicy(fields: ObjectFields): bigint {
  const value = fields.member('policy');
  if (typeof value !== 'string' || !/^0x[0-9a-f]{1,16}$/.test(value))
    throw fields.error('policy', 'is not a number such as "0x30000"');
  return BigInt(value);
}

function parseMinimum(json: unknown, path: string, product: SnpProduct): SnpTcb {
  const fields = new ObjectFields(json, path, tcbPartsOf(product));
  return mapParts(product, (part) => fields.integer(part, 255));
}

/** Returns why a report is not of an accepted guest; undefined if it is. */
export function snpMismatch(report: SnpReport, product: SnpProduct, values: SnpValues): string | undefined {
  if (values.product !== product) return `the product is ${product}, not ${values.product}`;
  if (!equalBytes(values.measurement, report.measurement))
    return `the measurement is ${toHex(report.measurement)}`;
  if (values.policy !== report.policy) return `the policy is ${policyText(report.policy)}`;
  if (values.hostData !== 'any' && !equalBytes(values.hostData, report.hostData))
    return `HOSTDATA is ${toHex(report.hostData)}`;
  for (const field of tcbFields) {
    const tcb = decodeTcb(report.tcb[field], product);
    if (tcb === undefined) return `reserved bytes of the ${field} TCB are not zero`;
    if (partBelow(tcb, values.minimumTcb) !== undefined)
      return `the ${field} TCB (${tcbText(tcb)}) is below the minimum (${tcbText(values.minimumTcb)})`;
  }
  return undefined;
}

/** Returns why no guest with this policy is believed; undefined if it may be. */
export function policyFault(policy: bigint): string | undefined {
  const text = policyText(policy);
  if ((policy & debug) !== 0n)
    return `the policy ${text} lets the host debug the guest: read and write its memory`;
  if ((policy & migrationAgent) !== 0n)
    return `the policy ${text} allows a migration agent, which can move the guest`;
  if ((policy & mustBeOne) === 0n || (policy & ~known) !== 0n)
    return `reserved bits of the policy ${text} are wrong`;
  return undefined;
}

export function policyText(policy: bigint): string {
  return `0x${policy.toString(16)}`;
}
