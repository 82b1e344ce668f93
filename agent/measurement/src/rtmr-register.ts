import { join } from 'node:path';
import { type Banks, MeasurementError, reasonOf, type Register } from './register.js';
import { type KernelFiles, kernelFiles } from './kernel-files.js';

/** RTMR 3 is meant for applications above the operating system (td-shim specification, "TD Measurement"). */
const rtmr = 3;
const bytes = 48;

/**
 * Directory of the measurement registers of a TDX guest, since Linux 6.16
 * (Documentation/ABI/testing/sysfs-devices-virtual-misc-tdx_guest).
 */
export const tdxMeasurements: string = 'sys/devices/virtual/misc/tdx_guest/measurements';

/** Opens RTMR 3 of a TDX guest, below `root`. */
export function rtmrRegister(root: string = '/', files: KernelFiles = kernelFiles): Register {
  const path = join(root, tdxMeasurements, `rtmr${rtmr}:sha384`);
  const attempt = <T>(doing: string, act: () => T): T => {
    try {
      return act();
    } catch (error) {
      if (error instanceof MeasurementError) throw error;
      const message = `RTMR ${rtmr} cannot be ${doing}: ${reasonOf(error)}: a TDX guest with Linux 6.16 is required`;
      throw new MeasurementError(message, { cause: error });
    }
  };
  return {
    name: `RTMR ${rtmr}`,
    kind: 'rtmr',
    // Event logs count MRTD as 0 and RTMR 0 as 1 (UEFI 2.11, 38.4.1).
    index: rtmr + 1,
    read: async (): Promise<Banks> =>
      attempt('read', () => {
        const value = Buffer.from(files.read(path));
        if (value.length !== bytes)
          throw new MeasurementError(`${path} has ${value.length} bytes, not ${bytes}`);
        return { sha384: value.toString('hex') };
      }),
    extend: async ({ sha384 = '' }) =>
      attempt('extended', () => files.write(path, new Uint8Array(Buffer.from(sha384, 'hex')))),
  };
}
