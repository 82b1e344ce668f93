import { ByteReader } from '../bytes/byte-reader.js';

/** The report of the quoting enclave (QE): an SGX enclave report that binds the attestation key. */
export interface QeReport {
  /** The bytes that the key of the PCK certificate signed. */
  readonly signed: Uint8Array;
  /** 4 bytes. */
  readonly miscSelect: Uint8Array;
  /** 16 bytes: flags and XFRM. */
  readonly attributes: Uint8Array;
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly reportData: Uint8Array;
}

export const qeReportBytes = 384;

/** Parses an enclave report. What it reserves is signed, and not compared. */
export function parseQeReport(bytes: Uint8Array): QeReport {
  const reader = new ByteReader(bytes, 'the QE report');
  reader.take(16, 'CPUSVN');
  const miscSelect = reader.take(4, 'MISCSELECT');
  reader.take(28, 'a reserved field');
  const attributes = reader.take(16, 'ATTRIBUTES');
  reader.take(32, 'MRENCLAVE');
  reader.take(32, 'a reserved field');
  const mrSigner = reader.take(32, 'MRSIGNER');
  reader.take(96, 'a reserved field');
  const isvProdId = reader.u16('ISVPRODID');
  const isvSvn = reader.u16('ISVSVN');
  reader.take(60, 'a reserved field');
  const reportData = reader.take(64, 'REPORTDATA');
  reader.end();
  return { signed: bytes, miscSelect, attributes, mrSigner, isvProdId, isvSvn, reportData };
}
