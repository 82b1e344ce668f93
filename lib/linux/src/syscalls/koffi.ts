import { createRequire } from 'node:module';
import { printable } from './c-memory.js';
import { SyscallError } from './syscall-error.js';
import type { PathName } from './path-name.js';

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
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
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
