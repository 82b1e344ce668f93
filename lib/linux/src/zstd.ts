import { Buffer } from 'node:buffer';
import { bytes, type CLibrary, loadLibrary } from './syscalls/koffi.js';

/** Bytes that are not a complete stream of zstd frames, or need more memory than allowed. */
export class ZstdError extends Error {
  override readonly name = 'ZstdError';
}

/** ZSTD_d_windowLogMax. */
const WindowLogMaximum = 100;
const outputSize = 128 * 1024;

/** The functions of libzstd in use. An error, near 2^64 as a size_t, is negative as an int64_t. A handle is an address: below 2^53 in user space. */
interface Zstd {
  readonly create: () => number;
  readonly free: (handle: number) => number;
  readonly setParameter: (handle: number, parameter: number, value: number) => number;
  readonly decompress: (
    handle: number,
    output: Uint8Array,
    outputSize: number,
    outputAt: Uint8Array,
    input: Uint8Array,
    inputSize: number,
    inputAt: Uint8Array,
  ) => number;
}

let loaded: Zstd | undefined;

/**
 * Decompresses a stream of zstd frames with the system's libzstd, because Node.js has zstd only since 22.15. Each
 * output block is valid until the next one is requested. `windowLog` limits memory: a frame may need up to 2^windowLog
 * bytes.
 */
export class ZstdDecoder {
  readonly #zstd: Zstd;
  readonly #output: Buffer = bytes(outputSize);
  readonly #outputAt: Buffer = bytes(8);
  readonly #inputAt: Buffer = bytes(8);
  #handle: number;
  /** Between frames: the stream may end here. */
  #complete = false;

  constructor(windowLog: number) {
    this.#zstd = loaded ??= loadZstd();
    this.#handle = this.#zstd.create();
    if (this.#handle === 0) throw new ZstdError('libzstd has no memory for a decoder');
    this.#check(this.#zstd.setParameter(this.#handle, WindowLogMaximum, windowLog));
  }

  /** Loads libzstd, so that later decoders need no file. Throws if the system has none. */
  static load(): void {
    loaded ??= loadZstd();
  }

  *decode(chunk: Uint8Array): Generator<Buffer> {
    // C reads the bytes while nothing else runs, but a small Buffer may be moved before the call.
    const input = bytes(chunk.length);
    input.set(chunk);
    this.#inputAt.writeBigUInt64LE(0n);
    for (let full = false; full || Number(this.#inputAt.readBigUInt64LE()) < input.length; ) {
      this.#outputAt.writeBigUInt64LE(0n);
      const result = this.#zstd.decompress(
        this.#handle,
        this.#output,
        outputSize,
        this.#outputAt,
        input,
        input.length,
        this.#inputAt,
      );
      this.#check(result);
      this.#complete = result === 0;
      const length = Number(this.#outputAt.readBigUInt64LE());
      // A full output block may hide more output of the same input.
      full = length === outputSize && !this.#complete;
      if (length > 0) yield this.#output.subarray(0, length);
    }
  }

  /** Throws unless the last frame is complete. */
  end(): void {
    if (!this.#complete) throw new ZstdError('the zstd stream ends inside a frame');
  }

  /** Frees libzstd's memory. Safe to call more than once. */
  close(): void {
    if (this.#handle !== 0) this.#zstd.free(this.#handle);
    this.#handle = 0;
  }

  #check(result: number): void {
    if (result < 0)
      throw new ZstdError('libzstd refuses the stream: it is not zstd, damaged, or its window is too large');
  }
}

function loadZstd(): Zstd {
  const library: CLibrary = loadLibrary('libzstd.so.1');
  return {
    create: library.find('uintptr_t ZSTD_createDStream()'),
    free: library.find('int64_t ZSTD_freeDStream(uintptr_t stream)'),
    setParameter: library.find('int64_t ZSTD_DCtx_setParameter(uintptr_t stream, int parameter, int value)'),
    decompress: library.find(
      'int64_t ZSTD_decompressStream_simpleArgs(uintptr_t stream, void *output, size_t output_size, void *output_at, const void *input, size_t input_size, void *input_at)',
    ),
  };
}
