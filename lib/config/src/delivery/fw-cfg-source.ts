import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type DeliveryRead,
  type DeliverySource,
  isAbsent,
  nothing,
  reasonOf,
  undelivered,
} from '../delivery.js';

/** The name to use with `-fw_cfg`; QEMU reserves `opt/` and a reversed domain for users. */
export const fwCfgName: string = 'opt/io.katacontainers/kata-agent.toml';

/**
 * The time to read fw_cfg is quadratic in the size: 64 KiB take 74 ms, 3 MB 70 s (docs/records/measurements.md, "A virtual
 * machine").
 */
export const fwCfgMaxBytes: number = 64 * 1024;

/**
 * Reads a blob of QEMU's fw_cfg device through the kernel's qemu_fw_cfg module
 * (Documentation/ABI/testing/sysfs-firmware-qemu_fw_cfg).
 */
export function fwCfgSource(root: string): DeliverySource {
  const entry = join(root, 'sys/firmware/qemu_fw_cfg/by_name', fwCfgName);
  return { name: 'fw_cfg', collect: () => collect(entry) };
}

function collect(entry: string): DeliveryRead {
  const file = `fw_cfg (${fwCfgName})`;
  try {
    const text = readFileSync(join(entry, 'size'), 'latin1').trim();
    const size = /^\d{1,10}$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY;
    // Checked before the blob is read, which is the slow part.
    if (size > fwCfgMaxBytes) {
      const message = `${file} has ${text} bytes; at most ${fwCfgMaxBytes} can be read through fw_cfg`;
      return undelivered(
        'KA1703',
        message,
        'deliver the document as initdata: kata-agent-ctl config digest FILE --out IMAGE',
      );
    }
    const bytes = new Uint8Array(readFileSync(join(entry, 'raw')));
    if (bytes.length !== size) {
      const message = `${file} has a size of ${size} bytes, but ${bytes.length} were read`;
      return undelivered('KA1703', message, 'the blob changed or was truncated; restart the guest');
    }
    return { ok: true, documents: [{ file, bytes, envelope: bytes, algorithm: 'sha-256' }] };
  } catch (error) {
    if (isAbsent(error)) return nothing;
    return undelivered('KA1703', `${file} cannot be read: ${reasonOf(error)}`, `check it: ls -l ${entry}`);
  }
}
