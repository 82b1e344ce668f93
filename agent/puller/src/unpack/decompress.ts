import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { ZstdDecoder, ZstdError } from '@kata-agent/linux';
import type { Budget } from './budget.js';
import { LayerError, quoted } from './layer-error.js';

type Compression = 'none' | 'gzip' | 'zstd';

const layerTypes: ReadonlyMap<string, Compression> = new Map([
  ['application/vnd.oci.image.layer.v1.tar', 'none'],
  ['application/vnd.oci.image.layer.v1.tar+gzip', 'gzip'],
  ['application/vnd.oci.image.layer.v1.tar+zstd', 'zstd'],
  ['application/vnd.docker.image.rootfs.diff.tar', 'none'],
  ['application/vnd.docker.image.rootfs.diff.tar.gzip', 'gzip'],
  ['application/vnd.docker.image.rootfs.diff.tar.zstd', 'zstd'],
]);
const chunkSize = 256 * 1024;

/** Returns the compression of a layer's media type. Throws a LayerError for another type. */
export function layerCompression(mediaType: string): Compression {
  const found = layerTypes.get(mediaType);
  if (found === undefined)
    throw new LayerError(
      'unsupported',
      `${quoted(mediaType)} is no type of a layer; expected one of ${[...layerTypes.keys()].join(', ')}`,
    );
  return found;
}

/**
 * Decompresses a layer. The media type decides, never the bytes: what another reader takes for something else is
 * refused. A chunk is valid until the next one is requested. Throws a LayerError.
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  budget: Budget,
): AsyncGenerator<Buffer> {
  const counted = count(source, budget);
  switch (compression) {
    case 'none':
      yield* counted;
      return;
    case 'gzip':
      yield* gunzip(counted);
      return;
    case 'zstd':
      yield* unzstd(counted, budget.limits.windowLog);
      return;
  }
}

async function* count(source: AsyncIterable<Uint8Array>, budget: Budget): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    budget.compressed(chunk.length);
    yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
  }
}

async function* gunzip(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let size = 0;
  const tee = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      size += chunk.length;
      yield chunk;
    }
  };
  const stream = createGunzip({ chunkSize });
  const fed = pipeline(Readable.from(tee(), { objectMode: false }), stream);
  // Its failure is that of the loop below, or the loop was left.
  fed.catch(() => undefined);
  try {
    for await (const chunk of stream) yield chunk as Buffer;
    await fed;
  } catch (error) {
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('Z_'))
      throw new LayerError('compression', `the layer is no valid gzip: ${error.message}`, { cause: error });
    throw error;
  }
  // zlib ignores what follows the last member.
  if (stream.bytesWritten !== size)
    throw new LayerError(
      'compression',
      `${size - stream.bytesWritten} bytes follow the gzip stream of the layer`,
    );
}

async function* unzstd(source: AsyncIterable<Buffer>, windowLog: number): AsyncGenerator<Buffer> {
  const decoder = new ZstdDecoder(windowLog);
  try {
    for await (const chunk of source) yield* decoder.decode(chunk);
    decoder.end();
  } catch (error) {
    if (error instanceof ZstdError) throw new LayerError('compression', error.message, { cause: error });
    throw error;
  } finally {
    decoder.close();
  }
}
