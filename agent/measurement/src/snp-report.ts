import { MeasurementError } from './measurement-error.js';

// ATTESTATION_REPORT of the SEV-SNP Firmware ABI Specification (56860), table 23.
const reportBytes = 0x4a0;
const reportData = { at: 0x50, bytes: 64 } as const;
const hostData = { at: 0xc0, bytes: 32 } as const;

/** Returns HOSTDATA of an SNP report with this nonce. Throws a MeasurementError. */
export function snpHostData(report: Uint8Array, nonce: Uint8Array): Uint8Array {
  if (report.length < reportBytes) {
    throw new MeasurementError(`the SNP report has ${report.length} bytes, not ${reportBytes}`);
  }
  const version = Buffer.from(report).readUInt32LE(0);
  // These fields have the same offsets in versions 2 to 5.
  if (version < 2 || version > 5)
    throw new MeasurementError(`the SNP report has version ${version}, not 2 to 5`);
  const answered = Buffer.from(report.subarray(reportData.at, reportData.at + reportData.bytes));
  if (!answered.equals(nonce)) throw new MeasurementError('the SNP report belongs to another request');
  return report.slice(hostData.at, hostData.at + hostData.bytes);
}
