import { allZero, equalBytes, toHex } from '../byte-reader.js';
import { ObjectFields, parseTuples } from '../object-fields.js';
import { type AcceptableStatus, acceptableStatuses } from './tcb-info.js';
import type { TdReport } from './quote.js';

/** One accepted guest. A quote is accepted if everything of one tuple agrees; tuples are never mixed. */
export interface TdxValues {
  readonly mrTd: Uint8Array;
  readonly rtmrs: readonly (Uint8Array | 'any')[];
  readonly mrConfigId: Uint8Array | 'any';
  /** Zero unless the file has them. */
  readonly mrOwner: Uint8Array | 'any' | undefined;
  readonly mrOwnerConfig: Uint8Array | 'any' | undefined;
  readonly attributes: bigint;
  readonly xfam: bigint;
  /** TEE_TCB_SVN must have at least these SVNs, except for the major version of the module, which must be equal. */
  readonly minimumTcb: Uint8Array;
  /** Statuses of the platform that are accepted. */
  readonly statuses: readonly AcceptableStatus[];
}

const rtmrNames = ['rtmr0', 'rtmr1', 'rtmr2', 'rtmr3'] as const;
const required = ['mrtd', ...rtmrNames, 'mrconfigid', 'attributes', 'xfam', 'minimum_tcb'] as const;
const optional = ['mrowner', 'mrownerconfig', 'tcb_status'] as const;

/**
 * Parses the `tdx` part of a values file: a list of objects with `mrtd`, `rtmr0` to `rtmr3` and `mrconfigid` (each of these
 * or `any`), `attributes`, `xfam`, `minimum_tcb` (TEE_TCB_SVN), all in hex, and `tcb_status`, which is `["UpToDate"]` if it
 * is left out, as `mrowner` and `mrownerconfig` are zero. Throws an EvidenceFormError.
 */
export function parseTdxValues(json: unknown): readonly TdxValues[] {
  return parseTuples(json, 'tdx', (item, path) => {
    const fields = new ObjectFields(item, path, [...required, ...optional]);
    const owner = (name: string): Uint8Array | 'any' | undefined =>
      fields.has(name) ? fields.bytesOrAny(name, 48) : undefined;
    return {
      mrTd: fields.bytes('mrtd', 48),
      rtmrs: rtmrNames.map((name) => fields.bytesOrAny(name, 48)),
      mrConfigId: fields.bytesOrAny('mrconfigid', 48),
      mrOwner: owner('mrowner'),
      mrOwnerConfig: owner('mrownerconfig'),
      attributes: Buffer.from(fields.bytes('attributes', 8)).readBigUInt64LE(),
      xfam: Buffer.from(fields.bytes('xfam', 8)).readBigUInt64LE(),
      minimumTcb: fields.bytes('minimum_tcb', 16),
      statuses: fields.has('tcb_status') ? fields.listOf('tcb_status', acceptableStatuses) : ['UpToDate'],
    };
  });
}

/** Returns why a report is not of an accepted guest; undefined if it is. The status of the platform is not compared here. */
export function tdxMismatch(report: TdReport, values: TdxValues): string | undefined {
  const compared: readonly [string, Uint8Array | 'any' | undefined, Uint8Array][] = [
    ['MRTD', values.mrTd, report.mrTd],
    ...report.rtmrs.map((rtmr, index): [string, Uint8Array | 'any' | undefined, Uint8Array] => [
      `RTMR${index}`,
      values.rtmrs[index],
      rtmr,
    ]),
    ['MRCONFIGID', values.mrConfigId, report.mrConfigId],
    ['MROWNER', values.mrOwner, report.mrOwner],
    ['MROWNERCONFIG', values.mrOwnerConfig, report.mrOwnerConfig],
  ];
  for (const [name, expected, actual] of compared) {
    const equal =
      expected === undefined ? allZero(actual) : expected === 'any' || equalBytes(expected, actual);
    if (!equal) return `${name} is ${toHex(actual)}`;
  }
  if (values.attributes !== report.tdAttributes)
    return `TDATTRIBUTES are ${littleEndian(report.tdAttributes)}`;
  if (values.xfam !== report.xfam) return `XFAM is ${littleEndian(report.xfam)}`;
  return tcbReached(report.teeTcbSvn, values.minimumTcb)
    ? undefined
    : `TEE_TCB_SVN ${toHex(report.teeTcbSvn)} is below the minimum ${toHex(values.minimumTcb)}`;
}

const moduleVersion = 1;

function tcbReached(actual: Uint8Array, minimum: Uint8Array): boolean {
  return minimum.every((svn, at) => {
    const own = actual[at] ?? 0;
    // SVNs of modules with different major versions are not comparable.
    return at === moduleVersion ? own === svn : own >= svn;
  });
}

/** Returns a number as the report has it, and as a values file is written. */
function littleEndian(value: bigint): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes.toString('hex');
}
