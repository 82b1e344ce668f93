import { Buffer } from 'node:buffer';
import { SyscallError } from './syscall-error.js';
import type { PathName } from './path-name.js';

const SolSocket = 1;
const ScmRights = 1;

/** Zeroed memory that the garbage collector never moves while C writes to it (small typed arrays may live in the heap). */
export function bytes(size: number): Buffer {
  return Buffer.from(new ArrayBuffer(size));
}

/** An unsigned int. */
export function uint32(value: number): Buffer {
  const result = bytes(4);
  result.writeUInt32LE(value);
  return result;
}

/**
 * Encodes a path as a C string. Throws for a NUL inside: C would end the path there, and open another file than was
 * checked.
 */
export function cString(syscall: string, path: PathName): Buffer {
  const text = typeof path === 'string' ? Buffer.from(path) : path;
  if (text.includes(0)) throw SyscallError.named(syscall, 'EINVAL', printable(path));
  const result = bytes(text.length + 1);
  result.set(text);
  return result;
}

/** Formats a path for a message. */
export function printable(path: PathName): string {
  return typeof path === 'string' ? path : Buffer.from(path).toString('latin1');
}

/** struct cmsghdr on 64 bits: length (8 bytes, header included), level, type. */
export const controlHeader = 16;

/** Parses the descriptors that came with a message (SCM_RIGHTS). */
export function controlDescriptors(control: Buffer): number[] {
  const found: number[] = [];
  for (let at = 0; at + controlHeader <= control.length; ) {
    const length = Number(control.readBigUInt64LE(at));
    if (length < controlHeader) break;
    const rights = control.readInt32LE(at + 8) === SolSocket && control.readInt32LE(at + 12) === ScmRights;
    const end = Math.min(at + length, control.length);
    if (rights) {
      for (let item = at + controlHeader; item + 4 <= end; item += 4) found.push(control.readInt32LE(item));
    }
    at += Math.ceil(length / 8) * 8;
  }
  return found;
}
