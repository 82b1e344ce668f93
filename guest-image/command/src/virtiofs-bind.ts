// Preloaded by an agent with `--import`. A test machine has no virtio-fs, whose server is part of the hypervisor: a mount
// of virtio-fs becomes a bind mount of the directory in SHARED_DIRECTORY.
import { replaceLibc } from './replace-libc.js';

const directory = process.env['SHARED_DIRECTORY'];
const MS_BIND = 0x1000;
const MS_REC = 0x4000;

if (directory !== undefined)
  replaceLibc('mount', (real) => (source, target, type, flags, data) => {
    const isShare = type instanceof Uint8Array && text(type) === 'virtiofs';
    return isShare
      ? real(Buffer.from(`${directory}\0`), target, null, MS_BIND | MS_REC, null)
      : real(source, target, type, flags, data);
  });

/** Returns the text of a C string. */
function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, bytes.indexOf(0))).toString();
}
