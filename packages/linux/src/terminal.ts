import { Buffer } from 'node:buffer';
import { readSync } from 'node:fs';
import { type OnReadOpts, Socket as Stream, type SocketConstructorOpts } from 'node:net';
import { Duplex } from 'node:stream';
import { Open, Socket } from './constants.js';
import type { Descriptor } from './descriptor.js';
import { hasCode } from './syscall-error.js';
import type { Syscalls } from './syscalls.js';

const lineFeed = 0x0a;
/** Control-D, what a terminal in its usual mode takes as the end of input (termios(3), VEOF). */
const endOfInput = Buffer.from([0x04]);
/** More than the kernel's terminals hold at once. */
const readSize = 16 * 1024;

/**
 * Our side of a pseudo-terminal, as a stream. It reads what the program prints and ends when the last program has let go
 * of the terminal; what is written is typed input. `end()` types Control-D, which a program sees as end of file unless
 * it has put the terminal into raw mode.
 */
export class Terminal extends Duplex {
  readonly #syscalls: Syscalls;
  /** For the window's size: the stream's descriptor is a second one of the same open file. */
  readonly #master: Descriptor;
  readonly #stream: Stream;
  #hungUp = false;
  #atLineStart = true;

  /** Owns the master from now on. */
  constructor(syscalls: Syscalls, master: Descriptor) {
    super({ allowHalfOpen: false });
    this.#syscalls = syscalls;
    this.#master = master;
    this.#stream = openMaster(syscalls, master, (chunk) => this.push(chunk));
    // EIO is how a master tells that nobody has the other side open any more; writing finds out as well as reading.
    let failure: Error | undefined;
    this.#stream.on('error', (error) => {
      if (!hasCode(error, 'EIO')) failure = error;
    });
    this.#stream.on('end', () => this.#stream.destroy());
    this.#stream.on('close', () => {
      this.#hungUp = true;
      if (this.destroyed) return;
      if (failure === undefined) this.#readRest();
      else this.destroy(failure);
    });
  }

  /** Tells the programs on the terminal its size; they get SIGWINCH. Nothing happens once it is closed. */
  resize(rows: number, columns: number): void {
    if (this.#master.open) this.#syscalls.setWindowSize(this.#master.fd, rows, columns);
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#atLineStart = chunk.at(-1) === lineFeed || chunk.at(-1) === 0x0d;
    this.#type(chunk, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    // In the middle of a line the first one only sends off the line.
    this.#type(this.#atLineStart ? endOfInput : Buffer.concat([endOfInput, endOfInput]), callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#stream.destroy();
    this.#master.close();
    callback(error);
  }

  /**
   * Reads what still lies in the kernel, up to 64 KiB, and ends: libuv takes a hang-up after a short read for the end of
   * file, and a terminal's reads are all short; a failed write has closed the stream early. read(2) gives everything out
   * before it says EIO.
   */
  #readRest(): void {
    const buffer = Buffer.alloc(readSize);
    try {
      for (let length = -1; length !== 0; ) {
        length = readSync(this.#master.fd, buffer);
        if (length > 0) this.push(Buffer.from(buffer.subarray(0, length)));
      }
    } catch (error) {
      if (!hasCode(error, 'EIO', 'EAGAIN')) {
        this.destroy(error as Error);
        return;
      }
    }
    this.push(null);
  }

  /** What is typed after the last program has gone is lost, as on any terminal; it must not hide output still unread. */
  #type(chunk: Buffer, callback: (error?: Error | null) => void): void {
    if (this.#hungUp) callback();
    else this.#stream.write(chunk, (error) => callback(this.#stream.destroyed ? null : error));
  }
}

/**
 * A `net.Socket` on a terminal's master. Node refuses to make one (ERR_INVALID_FD_TYPE), and its `tty.ReadStream` writes
 * to a master with blocking writes: one program that does not read its input then stops the whole event loop. So a
 * socket is made of a decoy, and in the same tick the master takes the decoy's number: libuv looks at the number again
 * only at its next poll, and its plain read(2), write(2) and epoll do for a terminal as for a socket.
 *
 * `onread` hands over each chunk at once, so that the EIO of a hang-up cannot overtake output waiting in the socket.
 */
function openMaster(syscalls: Syscalls, master: Descriptor, output: (chunk: Buffer) => boolean): Stream {
  syscalls.setNonBlocking(master.fd);
  const [decoy, other] = syscalls.socketpair(Socket.Unix, Socket.Stream | Socket.CloseOnExec, 0);
  // `onread` is documented where net.connect(options) hands its options to this constructor; the types know only that.
  const options: SocketConstructorOpts & { readonly onread: OnReadOpts } = {
    fd: decoy,
    readable: true,
    writable: true,
    allowHalfOpen: true,
    onread: {
      buffer: Buffer.alloc(readSize),
      callback: (length, buffer) => output(Buffer.from(buffer.subarray(0, length))),
    },
  };
  const stream = new Stream(options);
  try {
    syscalls.dup3(master.fd, decoy, Open.CloseOnExec);
  } catch (error) {
    stream.destroy();
    throw error;
  } finally {
    syscalls.close(other);
  }
  return stream;
}
