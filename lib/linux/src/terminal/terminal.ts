import { Buffer } from 'node:buffer';
import { readSync } from 'node:fs';
import { type OnReadOpts, Socket as Stream, type SocketConstructorOpts } from 'node:net';
import { Duplex } from 'node:stream';
import { At, Open, Socket } from '../syscalls/constants.js';
import { Descriptor } from '../fs/descriptor.js';
import { hasCode } from '../syscalls/syscall-error.js';
import type { Syscalls } from '../syscalls/syscalls.js';

const lineFeed = 0x0a;
/** Control-D, the end of input of a terminal in canonical mode (termios(3), VEOF). */
const endOfInput = Buffer.from([0x04]);
/** More than the kernel buffers for a terminal. */
const readSize = 16 * 1024;

/**
 * The master of a pseudo-terminal as a stream. It reads the program's output and ends when the last program has closed
 * the terminal; written bytes are typed input. `end()` types Control-D, which is end of file for a program unless the
 * terminal is in raw mode.
 */
export class Terminal extends Duplex {
  readonly #syscalls: Syscalls;
  /** For resizing: the stream uses a duplicate of the same open file. */
  readonly #master: Descriptor;
  readonly #stream: Stream;
  #hungUp = false;
  #atLineStart = true;

  /** Takes ownership of the master. */
  constructor(syscalls: Syscalls, master: Descriptor) {
    super({ allowHalfOpen: false });
    this.#syscalls = syscalls;
    this.#master = master;
    this.#stream = openMaster(syscalls, master, (chunk) => this.push(chunk));
    // EIO means that the slave is closed everywhere; both reads and writes report it.
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

  /** Sets the terminal's size; its programs get SIGWINCH. A no-op once it is closed. */
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
    // After a partial line the first one only submits the line.
    this.#type(this.#atLineStart ? endOfInput : Buffer.concat([endOfInput, endOfInput]), callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#stream.destroy();
    this.#master.close();
    callback(error);
  }

  /**
   * Reads what is left in the kernel, up to 64 KiB, and ends the stream. libuv takes a hang-up after a short read for
   * end of file, and a terminal's reads are all short; a failed write closes the stream early. read(2) returns
   * everything before EIO.
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

  /** Input after the last program has exited is lost, as on any terminal; its error must not hide unread output. */
  #type(chunk: Buffer, callback: (error?: Error | null) => void): void {
    if (this.#hungUp) callback();
    else this.#stream.write(chunk, (error) => callback(this.#stream.destroyed ? null : error));
  }
}

/**
 * Opens a `net.Socket` on a terminal's master. Node.js rejects such a descriptor (ERR_INVALID_FD_TYPE), and its
 * `tty.ReadStream` uses blocking writes, so that one program that does not read its input blocks the event loop. So the
 * socket is created on a decoy, whose number the master takes over in the same tick: libuv uses the number only at its
 * next poll, and its read(2), write(2) and epoll work for a terminal as for a socket.
 *
 * `onread` delivers each chunk at once, so that the EIO of a hang-up cannot overtake output buffered in the socket.
 */
function openMaster(syscalls: Syscalls, master: Descriptor, output: (chunk: Buffer) => boolean): Stream {
  syscalls.setNonBlocking(master.fd);
  const [decoy, other] = syscalls.socketpair(Socket.Unix, Socket.Stream | Socket.CloseOnExec, 0);
  // `onread` is documented for net.connect(options), which passes its options to this constructor; the types have it
  // only there.
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

/** A pseudo-terminal (pty(7)). */
export interface PseudoTerminal {
  /** The master, for a `Terminal`. */
  readonly master: Descriptor;
  /** The slave's path, `/dev/pts/3`. It becomes the controlling terminal of a session leader that opens it. */
  readonly path: string;
}

/** Opens a pseudo-terminal. Throws ENOENT where devpts is not mounted. */
export function openPseudoTerminal(syscalls: Syscalls): PseudoTerminal {
  const master = new Descriptor(
    syscalls,
    syscalls.openat(At.Cwd, '/dev/ptmx', Open.ReadWrite | Open.NoTerminal),
  );
  try {
    syscalls.unlockTerminal(master.fd);
    return { master, path: `/dev/pts/${syscalls.terminalNumber(master.fd)}` };
  } catch (error) {
    master.close();
    throw error;
  }
}
