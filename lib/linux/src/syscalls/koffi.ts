import { Buffer } from 'node:buffer';
import { createRequire } from 'node:module';
import { SyscallError } from './syscall-error.js';

const SolSocket = 1;

const ScmRights = 1;

/** struct cmsghdr on 64 bits: length (8 bytes, header included), level, type. */
export const controlHeader = 16;

/** A C function. koffi compares each call with the prototype, and throws a TypeError. */
type CFunction = (...values: readonly (number | Uint8Array | null)[]) => number;

/** The C library that this process has loaded, glibc or musl. */
export interface CLibrary {
  /**
   * Returns a function by its C prototype. A result below 0 means failure, with errno set. Variadic functions (fcntl,
   * ioctl, openat, syscall) are declared with the arguments in use: on x86_64 and aarch64 Linux they are passed as for
   * any other function.
   */
  readonly find: (prototype: string) => CFunction;
  /** Returns a function as `find` does; undefined: the library has none of that name. */
  readonly findOptional: (prototype: string) => CFunction | undefined;
  /** Returns a result that is not a failure; throws what `failure` returns otherwise. */
  readonly check: (syscall: string, result: number, about?: PathName) => number;
  /** Returns the error of the call that has just failed: errno is valid until the next call. */
  readonly failure: (syscall: string, about?: PathName) => SyscallError;
  /**
   * Returns the address of these bytes, for a pointer inside a structure. Keep the bytes referenced until the call
   * returns.
   */
  readonly address: (bytes: Uint8Array) => bigint;
}

/**
 * Loads koffi, when it is called and not when the module is imported: that costs 9 ms and 4 MB (docs/records/measurements.md,
 * "Start and memory"), and a program that only checks a configuration does not need it. No other module imports koffi.
 */
export function loadCLibrary(): CLibrary {
  return loadLibrary(null);
}

/** Loads another shared library by its soname, such as `libzstd.so.1`; throws if the system has none. */
export function loadLibrary(soname: string | null): CLibrary {
  const koffi = requireKoffi();
  const library = koffi.load(soname);
  const failure = (syscall: string, about?: PathName): SyscallError =>
    new SyscallError(syscall, koffi.errno(), about === undefined ? undefined : printable(about));
  return {
    find: (prototype) => library.func(prototype),
    findOptional(prototype) {
      try {
        return library.func(prototype);
      } catch (error) {
        if (error instanceof Error && error.message.startsWith('Cannot find function')) return undefined;
        throw error;
      }
    },
    check(syscall, result, about) {
      if (result < 0) throw failure(syscall, about);
      return result;
    },
    failure,
    address: (bytes) => koffi.address(bytes),
  };
}

/** Waits for a descriptor in the event loop; nothing is read from it. */
export interface PollHandle {
  /** Calls back at each turn in which it is readable or writable, has no other end any more, or fails: the next call on it says which. */
  start(event: 'readable' | 'writable', callback: () => void): void;
  stop(): void;
  /** Must come before the descriptor is closed. Later calls have no effect. */
  close(): void;
}

/** Sets O_NONBLOCK, as libuv does for each descriptor that it waits for. Node.js itself has no such function. */
export function pollDescriptor(fd: number): PollHandle {
  // koffi's own handle must not be touched after its end: libuv would read a null pointer.
  let handle: import('koffi').node.PollHandle | undefined = requireKoffi().node.poll(fd, {}, () => undefined);
  return {
    start: (event, callback) => handle?.start({ [event]: true }, callback),
    stop: () => handle?.stop(),
    close() {
      handle?.close();
      handle = undefined;
    },
  };
}

function requireKoffi(): typeof import('koffi') {
  return createRequire(import.meta.url)('koffi') as typeof import('koffi');
}

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

/**
 * Encodes texts as a `char *[]` that ends with a null pointer. The texts are in the same memory, behind the pointers, so that they
 * live as long as these.
 */
export function cStrings(library: CLibrary, syscall: string, texts: readonly string[]): Buffer {
  const strings = texts.map((text) => cString(syscall, text));
  const pointers = 8 * (strings.length + 1);
  const list = bytes(strings.reduce((size, { length }) => size + length, pointers));
  const start = library.address(list);
  let at = pointers;
  for (const [index, text] of strings.entries()) {
    list.writeBigUInt64LE(start + BigInt(at), 8 * index);
    list.set(text, at);
    at += text.length;
  }
  return list;
}

/** Formats a path for a message. */
function printable(path: PathName): string {
  return typeof path === 'string' ? path : Buffer.from(path).toString('latin1');
}

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

/** A path: text, passed to the kernel as UTF-8, or bytes for names that are not UTF-8. Never contains a NUL. */
export type PathName = string | Uint8Array;
