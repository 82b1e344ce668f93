import { createReadStream } from 'node:fs';
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import {
  type Answer,
  type Digest,
  digestAlgorithm,
  Digester,
  hasImageCode,
  ImageError,
} from '@kata-agent/registry';
import { countUnusedBuffer } from '../memory/collect-buffers.js';

/** Requests a blob from an offset. */
export type BlobSource = (digest: Digest, offset: number) => Promise<Answer>;

/** A connection that ends is resumed so often, for each blob. */
const maxResumes = 5;
/** Bytes that are written together. */
const pendingLength = 256 * 1024;

/**
 * Downloads a blob and verifies it. When the connection ends early, requests the rest. Rejects with an ImageError, after which nothing
 * of the blob remains.
 */
export async function downloadBlob(
  source: BlobSource,
  directory: BlobDirectory,
  expected: ExpectedBlob,
): Promise<void> {
  const writer = await directory.create(expected);
  try {
    for (let resumes = 0; ; resumes += 1)
      try {
        await receive(source, writer, expected);
        break;
      } catch (error) {
        if (resumes === maxResumes || !hasImageCode(error, 'registry-unreachable', 'too-slow')) throw error;
      }
    await writer.finish();
  } catch (error) {
    await writer.remove();
    throw error;
  }
}

async function receive(source: BlobSource, writer: BlobWriter, expected: ExpectedBlob): Promise<void> {
  const { digest, size } = expected;
  const offset = writer.received;
  // A connection that ended after the last byte.
  if (offset === size && size > 0) return;
  const answer = await source(digest, offset);
  checkAnswer(answer, offset, expected);
  if (answer.status === 200) writer.reset();
  for await (const part of answer.body()) {
    await writer.write(part);
    countUnusedBuffer(part.length);
  }
}

/** Checks what the headers promise, before a byte is read. */
function checkAnswer(answer: Answer, offset: number, { digest, size }: ExpectedBlob): void {
  const fail = (error: ImageError): never => {
    answer.discard();
    throw error;
  };
  if (answer.status === 206) {
    const range = answer.header('content-range');
    if (offset === 0 || range !== `bytes ${offset}-${size - 1}/${size}`)
      fail(new ImageError('answer-invalid', `blob ${digest} comes with another range than was asked for`));
  }
  const length = answer.header('content-length');
  const expectedLength = answer.status === 206 ? size - offset : size;
  if (length !== undefined && Number(length) !== expectedLength)
    fail(
      new ImageError(
        'size-mismatch',
        `blob ${digest} is announced with ${Number(length)} instead of ${expectedLength} bytes`,
      ),
    );
}

/** The size and digest that a blob must have. */
interface ExpectedBlob {
  readonly digest: Digest;
  readonly size: number;
}

/** The blobs of one pull, in a directory that only the puller can write. A file with the name of a digest is verified. */
export class BlobDirectory {
  readonly #path: string;

  /** @param path An existing directory. */
  constructor(path: string) {
    this.#path = path;
  }

  pathOf(digest: Digest): string {
    return join(this.#path, digest.replace(':', '-'));
  }

  read(digest: Digest): Promise<Buffer> {
    return readFile(this.pathOf(digest)).catch(failed);
  }

  open(digest: Digest): Readable {
    return createReadStream(this.pathOf(digest), { highWaterMark: 256 * 1024 });
  }

  async create(expected: ExpectedBlob): Promise<BlobWriter> {
    const path = this.pathOf(expected.digest);
    const file = await open(`${path}.part`, 'wx', 0o600).catch(failed);
    return new BlobWriter(file, path, expected);
  }
}

/** A blob that is being received. It has its name only once it is verified. */
class BlobWriter {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #expected: ExpectedBlob;
  readonly #digester: Digester;
  /** Received bytes that are not in the file yet: connections give 16 KiB at most, and a write of a file takes a turn of a thread. */
  readonly #pending: Buffer = Buffer.allocUnsafeSlow(pendingLength);
  #pendingBytes = 0;
  #received = 0;

  constructor(file: FileHandle, path: string, expected: ExpectedBlob) {
    this.#file = file;
    this.#path = path;
    this.#expected = expected;
    this.#digester = new Digester(digestAlgorithm(expected.digest));
  }

  /** The number of bytes so far. */
  get received(): number {
    return this.#received;
  }

  /** Rejects with `size-mismatch` at the first byte that is too much. */
  async write(bytes: Buffer): Promise<void> {
    const { digest, size } = this.#expected;
    if (this.#received + bytes.length > size)
      throw new ImageError('size-mismatch', `blob ${digest} has more than its ${size} bytes`);
    this.#digester.update(bytes);
    for (let copied = 0; copied < bytes.length; ) {
      const length = bytes.copy(this.#pending, this.#pendingBytes, copied);
      copied += length;
      this.#pendingBytes += length;
      this.#received += length;
      if (this.#pendingBytes === pendingLength) await this.#flush();
    }
  }

  async #flush(): Promise<void> {
    const at = this.#received - this.#pendingBytes;
    for (let written = 0; written < this.#pendingBytes; ) {
      const { bytesWritten } = await this.#file
        .write(this.#pending, written, this.#pendingBytes - written, at + written)
        .catch(failed);
      written += bytesWritten;
    }
    this.#pendingBytes = 0;
  }

  /** Begins again with the first byte. */
  reset(): void {
    this.#received = this.#pendingBytes = 0;
    this.#digester.reset();
  }

  /** Verifies size and digest, and gives the file its name. */
  async finish(): Promise<void> {
    const { digest, size } = this.#expected;
    if (this.#received !== size)
      throw new ImageError('size-mismatch', `blob ${digest} has ${this.#received} instead of ${size} bytes`);
    const actual = this.#digester.digest();
    if (actual !== digest) throw new ImageError('digest-mismatch', `blob ${digest} has the digest ${actual}`);
    await this.#flush();
    await this.#file.close();
    await rename(`${this.#path}.part`, this.#path).catch(failed);
  }

  /** Removes the file. */
  async remove(): Promise<void> {
    await this.#file.close().catch(() => undefined);
    await rm(`${this.#path}.part`, { force: true });
  }
}

function failed(error: NodeJS.ErrnoException): never {
  const code = error.code ?? 'unknown error';
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG')
    throw new ImageError('disk-full', `a blob cannot be written: ${code}`);
  throw new ImageError('storage-failed', `a blob cannot be written or read: ${code}`);
}
