import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { type KernelFiles, kernelFiles } from './kernel-files.js';
import { MeasurementError, reasonOf } from './register.js';
import { tdxMeasurements } from './rtmr-register.js';
import { withTsmReport } from './tsm-report.js';

// ATTESTATION_REPORT of the SEV-SNP Firmware ABI Specification (56860), table 23.
const reportBytes = 0x4a0;
const reportDataField = { at: 0x50, bytes: 64 } as const;
const hostDataField = { at: 0xc0, bytes: 32 } as const;

/** Data that the host fixed at launch and the hardware attests. */
export type HostDataReading =
  | { readonly ok: true; readonly kind: 'HOSTDATA' | 'MRCONFIGID'; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly message: string; readonly help: string };

/**
 * Reads MRCONFIGID of a TDX guest or HOSTDATA of an SNP guest, below `root`.
 *
 * MRCONFIGID comes from the TDX module through sysfs, never from a configfs-tsm report: a TDX quote passes through the
 * host, which could substitute another guest's, so its signatures would have to be verified
 * (docs/adr/measurement.md, "MRCONFIGID"). An SNP report comes from the firmware over a channel that the
 * host cannot forge, and must contain our nonce.
 */
export function readHostData(root: string = '/', files: KernelFiles = kernelFiles): HostDataReading {
  try {
    const id = readIfThere(join(root, tdxMeasurements, 'mrconfigid'), files);
    if (id !== undefined) return mrConfigId(id);
    return { ok: true, kind: 'HOSTDATA', bytes: hostData(root, files) };
  } catch (error) {
    if (!(error instanceof MeasurementError)) throw error;
    return {
      ok: false,
      message: `HOSTDATA or MRCONFIGID cannot be read: ${error.message}`,
      help: 'start the guest as an SNP guest, or as a TDX guest with Linux 6.16, or bind the document by its digest',
    };
  }
}

function mrConfigId(bytes: Uint8Array): HostDataReading {
  if (bytes.length === 48) return { ok: true, kind: 'MRCONFIGID', bytes };
  throw new MeasurementError(`mrconfigid has ${bytes.length} bytes, not 48`);
}

/** Reads HOSTDATA of a report that has our nonce. */
function hostData(root: string, files: KernelFiles): Uint8Array {
  const nonce = randomBytes(64);
  return withTsmReport(root, files, nonce, (provider, read) => {
    if (provider === 'tdx_guest') {
      throw new MeasurementError(
        'a TDX quote passes through the host, and the kernel is too old to expose MRCONFIGID',
      );
    }
    if (provider !== 'sev_guest') throw new MeasurementError(`reports of ${provider} are not supported`);
    return snpHostData(read('outblob'), nonce);
  });
}

function readIfThere(path: string, files: KernelFiles): Uint8Array | undefined {
  try {
    return files.read(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined;
    throw new MeasurementError(`${path}: ${reasonOf(error)}`, { cause: error });
  }
}

/** Returns HOSTDATA of an SNP report with this nonce. Throws a MeasurementError. */
function snpHostData(report: Uint8Array, nonce: Uint8Array): Uint8Array {
  if (report.length < reportBytes) {
    throw new MeasurementError(`the SNP report has ${report.length} bytes, not ${reportBytes}`);
  }
  const version = Buffer.from(report).readUInt32LE(0);
  // These fields have the same offsets in versions 2 to 5.
  if (version < 2 || version > 5)
    throw new MeasurementError(`the SNP report has version ${version}, not 2 to 5`);
  const answered = Buffer.from(
    report.subarray(reportDataField.at, reportDataField.at + reportDataField.bytes),
  );
  if (!answered.equals(nonce)) throw new MeasurementError('the SNP report belongs to another request');
  return report.slice(hostDataField.at, hostDataField.at + hostDataField.bytes);
}
