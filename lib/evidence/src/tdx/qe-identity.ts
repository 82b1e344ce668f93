import { EvidenceFormError } from '../evidence-error.js';
import { equalBytes, toHex } from '../byte-reader.js';
import { JsonFields, parseSvnLevel, type StatusFinding, type SvnLevel } from './tcb-info.js';
import type { QeReport } from './quote.js';

/** Intel's identity of the TD quoting enclave. */
export interface QeIdentity {
  /** Milliseconds of the epoch. */
  readonly issueDate: number;
  /** Milliseconds of the epoch. */
  readonly nextUpdate: number;
  readonly miscSelect: Uint8Array;
  readonly miscSelectMask: Uint8Array;
  readonly attributes: Uint8Array;
  readonly attributesMask: Uint8Array;
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  /** Highest SVN first. */
  readonly levels: readonly SvnLevel[];
}

/** Parses the member `enclaveIdentity` of Intel's answer. Throws an EvidenceFormError. */
export function parseQeIdentity(json: unknown): QeIdentity {
  const identity = new JsonFields(json, 'enclaveIdentity');
  if (identity.text('id') !== 'TD_QE' || ![2, 3].includes(identity.integer('version', 255)))
    throw new EvidenceFormError(
      'it is not an identity of TD_QE of version 2 or 3; help: use tdx/certification/v4/qe/identity',
    );
  return {
    issueDate: identity.time('issueDate'),
    nextUpdate: identity.time('nextUpdate'),
    miscSelect: identity.bytes('miscselect', 4),
    miscSelectMask: identity.bytes('miscselectMask', 4),
    attributes: identity.bytes('attributes', 16),
    attributesMask: identity.bytes('attributesMask', 16),
    mrSigner: identity.bytes('mrsigner', 32),
    isvProdId: identity.integer('isvprodid', 0xffff),
    levels: [...identity.list('tcbLevels', parseSvnLevel)].sort((one, other) => other.isvSvn - one.isvSvn),
  };
}

/** Returns why a QE report is not one of this enclave; undefined if it is. */
export function qeIdentityFault(report: QeReport, identity: QeIdentity): string | undefined {
  // MISCSELECT is a little-endian number in the report, and written as a number in the identity.
  const miscSelect = Buffer.from(report.miscSelect).reverse();
  if (!equalBytes(masked(miscSelect, identity.miscSelectMask), identity.miscSelect))
    return `MISCSELECT of the quoting enclave is ${toHex(miscSelect)}, unlike Intel's identity`;
  if (!equalBytes(masked(report.attributes, identity.attributesMask), identity.attributes))
    return `ATTRIBUTES of the quoting enclave are ${toHex(report.attributes)}, unlike Intel's identity`;
  if (!equalBytes(report.mrSigner, identity.mrSigner))
    return `MRSIGNER of the quoting enclave is ${toHex(report.mrSigner)}, unlike Intel's identity`;
  return report.isvProdId === identity.isvProdId
    ? undefined
    : `ISVPRODID of the quoting enclave is ${report.isvProdId}, not ${identity.isvProdId}`;
}

/** Returns the status of a quoting enclave by its SVN. */
export function qeStatus(report: QeReport, { levels }: QeIdentity): StatusFinding {
  return levels.find(({ isvSvn }) => isvSvn <= report.isvSvn) ?? { status: 'NotSupported', advisories: [] };
}

function masked(bytes: Uint8Array, mask: Uint8Array): Uint8Array {
  return bytes.map((byte, at) => byte & (mask[at] ?? 0));
}
