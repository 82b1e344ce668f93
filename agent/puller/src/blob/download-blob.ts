import { hasImageCode, ImageError } from '../errors/image-error.js';
import type { Answer } from '../http/answer.js';
import type { Digest } from '../reference/digest.js';
import type { BlobDirectory, BlobWriter, ExpectedBlob } from './blob-directory.js';

/** Requests a blob from an offset. */
export type BlobSource = (digest: Digest, offset: number) => Promise<Answer>;

/** A connection that ends is resumed so often, for each blob. */
const maxResumes = 5;

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
  for await (const part of answer.body()) await writer.write(part);
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
