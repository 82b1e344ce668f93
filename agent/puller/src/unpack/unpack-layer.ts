import { createHash } from 'node:crypto';
import { SyscallError } from '@kata-agent/linux';
import { type TarEntry, TarError, TarReader } from '@kata-agent/registry/tar';
import { countUnusedBuffer } from '../memory/collect-buffers.js';
import type { Budget } from './budget.js';
import { decompress, layerCompression } from './decompress.js';
import { layerEntry } from './layer-entry.js';
import { LayerError, quoted } from './layer-error.js';
import type { LayerTree } from './layer-tree.js';

/** A layer as the image's manifest and configuration describe it. */
export interface LayerDescription {
  /** `sha256:<hex>` of the uncompressed archive. */
  readonly diffId: string;
  readonly mediaType: string;
}

/** What a layer held. */
export interface UnpackedLayer {
  /** Names of extended attributes that were not kept, with the number of entries that had them. */
  readonly droppedAttributes: ReadonlyMap<string, number>;
}

/** Attribute names that are reported; further ones are counted together. */
const namesAtMost = 32;

/**
 * Applies a layer to a tree. `source` is the layer's blob, already verified by its digest. Throws a LayerError for a
 * layer that is refused; the tree is then unfinished, and the caller removes it. The diff_id covers every byte of the
 * archive, so it is known only at the end.
 */
export async function unpackLayer(
  tree: LayerTree,
  layer: LayerDescription,
  source: AsyncIterable<Uint8Array>,
  budget: Budget,
  onChunk: () => void = () => undefined,
): Promise<UnpackedLayer> {
  const compression = layerCompression(layer.mediaType);
  const hash = createHash('sha256');
  const droppedAttributes = new Map<string, number>();
  let current: TarEntry | undefined;
  const reader = new TarReader(
    {
      entry(entry) {
        current = entry;
        const { entry: change, dropped } = layerEntry(entry, budget.limits);
        budget.entry(entry.name.length);
        if (change.kind === 'file') budget.file(change.size);
        for (const name of dropped) {
          const key = droppedAttributes.has(name) || droppedAttributes.size < namesAtMost ? name : 'others';
          droppedAttributes.set(key, (droppedAttributes.get(key) ?? 0) + 1);
        }
        tree.apply(change);
      },
      data: (chunk) => tree.write(chunk),
      end: () => tree.closeFile(),
    },
    budget.limits,
  );
  budget.beginLayer();
  tree.beginLayer();
  try {
    for await (const chunk of decompress(source, compression, budget)) {
      budget.uncompressed(chunk.length);
      hash.update(chunk);
      reader.push(chunk);
      onChunk();
      countUnusedBuffer(chunk.length);
    }
    reader.finish();
    tree.endLayer();
  } catch (error) {
    throw asLayerError(error, current);
  }
  const diffId = `sha256:${hash.digest('hex')}`;
  if (diffId !== layer.diffId)
    throw new LayerError(
      'diff-id',
      `the uncompressed layer is ${diffId}, the image's configuration names ${quoted(layer.diffId)}\nhelp: build the image again`,
    );
  return { droppedAttributes };
}

const full: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Errors of the archive, and of the kernel with the entry that they belong to. Others are bugs, and stay as they are. */
function asLayerError(error: unknown, entry: TarEntry | undefined): unknown {
  if (error instanceof TarError)
    return new LayerError(error.code, `${error.message}\nhelp: build the image again`, { cause: error });
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  if (error instanceof LayerError || code === undefined || !(error instanceof Error)) return error;
  const at = entry === undefined ? 'the layer' : quoted(entry.name);
  if (full.has(code))
    return new LayerError(
      'space',
      `no space for ${at}: ${error.message}\nhelp: give the guest more memory, or raise the limit`,
      {
        cause: error,
      },
    );
  const ofKernel = error instanceof SyscallError || 'syscall' in error;
  return ofKernel ? new LayerError('system', `${at}: ${error.message}`, { cause: error }) : error;
}
