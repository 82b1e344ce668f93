import { ByteReader } from '../bytes/byte-reader.js';

/** The body of a quote: a TD report of TDX 1.0 or 1.5. */
export interface TdReport {
  readonly form: '1.0' | '1.5';
  /** SVNs of the TDX module and of what loaded it; byte 0 is the module's SVN, byte 1 its major version. */
  readonly teeTcbSvn: Uint8Array;
  readonly mrSeam: Uint8Array;
  readonly mrSignerSeam: Uint8Array;
  readonly seamAttributes: Uint8Array;
  readonly tdAttributes: bigint;
  readonly xfam: bigint;
  readonly mrTd: Uint8Array;
  readonly mrConfigId: Uint8Array;
  readonly mrOwner: Uint8Array;
  readonly mrOwnerConfig: Uint8Array;
  readonly rtmrs: readonly Uint8Array[];
  readonly reportData: Uint8Array;
  /** Of 1.5: the SVNs since an update of the module without a restart. */
  readonly teeTcbSvn2: Uint8Array | undefined;
  /** Of 1.5: the service TDs that are bound to this one. */
  readonly mrServiceTd: Uint8Array | undefined;
}

export const tdReportBytes = { '1.0': 584, '1.5': 648 } as const;

const measurementBytes = 48;

export function parseTdReport(bytes: Uint8Array, form: TdReport['form']): TdReport {
  const reader = new ByteReader(bytes, 'the TD report');
  const measurement = (field: string): Uint8Array => reader.take(measurementBytes, field);
  const report: Omit<TdReport, 'teeTcbSvn2' | 'mrServiceTd'> = {
    form,
    teeTcbSvn: reader.take(16, 'TEE_TCB_SVN'),
    mrSeam: measurement('MRSEAM'),
    mrSignerSeam: measurement('MRSIGNERSEAM'),
    seamAttributes: reader.take(8, 'SEAMATTRIBUTES'),
    tdAttributes: reader.u64('TDATTRIBUTES'),
    xfam: reader.u64('XFAM'),
    mrTd: measurement('MRTD'),
    mrConfigId: measurement('MRCONFIGID'),
    mrOwner: measurement('MROWNER'),
    mrOwnerConfig: measurement('MROWNERCONFIG'),
    rtmrs: [0, 1, 2, 3].map((number) => measurement(`RTMR${number}`)),
    reportData: reader.take(64, 'REPORTDATA'),
  };
  const teeTcbSvn2 = form === '1.5' ? reader.take(16, 'TEE_TCB_SVN_2') : undefined;
  const mrServiceTd = form === '1.5' ? measurement('MRSERVICETD') : undefined;
  reader.end();
  return { ...report, teeTcbSvn2, mrServiceTd };
}
