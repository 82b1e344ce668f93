import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { type KernelFiles, kernelFiles } from './kernel-files.js';
import { MeasurementError, reasonOf } from './register.js';

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

/**
 * Requests a report with these 64 bytes as its report data, below `root`. A quote of TDX passes through the host, which can be as slow as
 * the kernel lets it, half a minute: other calls continue meanwhile. Rejects with a MeasurementError.
 */
export async function readTsmReport(
  reportData: Uint8Array,
  root: string = '/',
  files: KernelFiles = kernelFiles,
): Promise<TsmReport> {
  const request = makeRequest(root, files);
  const read = async (attribute: Attribute): Promise<Uint8Array> => {
    checkGeneration(request, files);
    const bytes = await files.readLater(join(request, attribute));
    checkGeneration(request, files);
    return bytes;
  };
  try {
    const provider = textOf(files.read(join(request, 'provider')));
    files.write(join(request, 'inblob'), reportData);
    const report = await read('outblob');
    const auxiliary =
      provider === 'sev_guest' ? await read('auxblob').catch(noCertificates) : new Uint8Array();
    return { provider, report, auxiliary };
  } catch (error) {
    throw reportFailure(error);
  } finally {
    files.removeDirectory(request);
  }
}

/** Without the attribute, or with an empty one, there are no certificates. */
function noCertificates(error: unknown): Uint8Array {
  if (hasCode(error, 'ENOENT')) return new Uint8Array();
  throw error;
}

/** Reports whether there is a source of reports below `root`. Throws a MeasurementError with the reason if not. */
export function checkTsm(root: string = '/', files: KernelFiles = kernelFiles): void {
  const request = makeRequest(root, files);
  files.removeDirectory(request);
}

/**
 * Requests a report through configfs-tsm (Documentation/ABI/testing/configfs-tsm-report), in a directory that is removed
 * afterwards. This thread waits for it.
 */
export function withTsmReport<T>(
  root: string,
  files: KernelFiles,
  reportData: Uint8Array,
  use: (provider: string, read: (attribute: Attribute) => Uint8Array) => T,
): T {
  const request = makeRequest(root, files);
  try {
    return use(textOf(files.read(join(request, 'provider'))), (attribute) => {
      files.write(join(request, 'inblob'), reportData);
      checkGeneration(request, files);
      const bytes = files.read(join(request, attribute));
      checkGeneration(request, files);
      return bytes;
    });
  } catch (error) {
    throw reportFailure(error);
  } finally {
    files.removeDirectory(request);
  }
}

/**
 * `generation` counts the writes to the request: it must be 1 before and after each read, or another process has changed the
 * report data.
 */
function checkGeneration(request: string, files: KernelFiles): void {
  if (textOf(files.read(join(request, 'generation'))) !== '1')
    throw new MeasurementError('another process changed the report request');
}

function reportFailure(error: unknown): MeasurementError {
  if (error instanceof MeasurementError) return error;
  return new MeasurementError(`cannot read the report: ${reasonOf(error)}`, { cause: error });
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

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1').trim();
}
