import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { type KernelFiles, kernelFiles } from './kernel-files.js';
import { MeasurementError, reasonOf } from './measurement-error.js';

const reports = 'sys/kernel/config/tsm/report';

/** A report of the hardware. */
export interface TsmReport {
  /** The kernel's driver: `sev_guest`, `tdx_guest`. */
  readonly provider: string;
  readonly report: Uint8Array;
  /** What the host gives beside the report: certificates of SNP. Empty: nothing. */
  readonly auxiliary: Uint8Array;
}

/** Attributes of a report that are read. */
type Attribute = 'outblob' | 'auxblob';

/** Requests a report with these 64 bytes as its report data, below `root`. Throws a MeasurementError. */
export function readTsmReport(
  reportData: Uint8Array,
  root: string = '/',
  files: KernelFiles = kernelFiles,
): TsmReport {
  return withTsmReport(root, files, reportData, (provider, read) => ({
    provider,
    report: read('outblob'),
    // Without the attribute, or with an empty one, there are no certificates.
    auxiliary: provider === 'sev_guest' ? read('auxblob', { optional: true }) : new Uint8Array(),
  }));
}

/** Reports whether there is a source of reports below `root`. Throws a MeasurementError with the reason if not. */
export function checkTsm(root: string = '/', files: KernelFiles = kernelFiles): void {
  const request = makeRequest(root, files);
  files.removeDirectory(request);
}

/**
 * Requests a report through configfs-tsm (Documentation/ABI/testing/configfs-tsm-report), in a directory that is removed
 * afterwards. `generation` counts the writes to the request: it must be 1 before and after each read, or another process has
 * changed the report data.
 */
export function withTsmReport<T>(
  root: string,
  files: KernelFiles,
  reportData: Uint8Array,
  use: (
    provider: string,
    read: (attribute: Attribute, options?: { readonly optional: boolean }) => Uint8Array,
  ) => T,
): T {
  const request = makeRequest(root, files);
  const checkGeneration = (): void => {
    if (textOf(files.read(join(request, 'generation'))) !== '1')
      throw new MeasurementError('another process changed the report request');
  };
  let written = false;
  try {
    return use(textOf(files.read(join(request, 'provider'))), (attribute, options) => {
      if (!written) files.write(join(request, 'inblob'), reportData);
      written = true;
      checkGeneration();
      const bytes = readAttribute(join(request, attribute), files, options?.optional === true);
      checkGeneration();
      return bytes;
    });
  } catch (error) {
    if (error instanceof MeasurementError) throw error;
    throw new MeasurementError(`cannot read the report: ${reasonOf(error)}`, { cause: error });
  } finally {
    files.removeDirectory(request);
  }
}

function makeRequest(root: string, files: KernelFiles): string {
  const directory = join(root, reports);
  const request = join(directory, `kata-agent-${process.pid}-${randomBytes(4).toString('hex')}`);
  try {
    files.makeDirectory(request);
    return request;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) {
      throw new MeasurementError(
        `${directory} does not exist: this is not a confidential guest, or configfs is not mounted`,
      );
    }
    throw new MeasurementError(`${directory}: cannot request a report: ${reasonOf(error)}`, { cause: error });
  }
}

function readAttribute(path: string, files: KernelFiles, optional: boolean): Uint8Array {
  try {
    return files.read(path);
  } catch (error) {
    if (optional && hasCode(error, 'ENOENT')) return new Uint8Array();
    throw error;
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1').trim();
}
