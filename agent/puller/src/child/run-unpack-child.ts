import {
  checkRequest,
  type LayerFile,
  lineLength,
  messageError,
  parseMessage,
  type UnpackProgress,
  type UnpackRequest,
  type UnpackResult,
} from './unpack-protocol.js';
import type { UnpackLimits } from '../unpack/budget.js';
import { type ChildSettings, runChild } from './run-child.js';

/** An image to unpack in a process of its own. */
export interface UnpackChildRequest extends Omit<UnpackRequest, 'layers'> {
  /** From the lowest to the topmost. The process waits for them. */
  readonly layers: readonly LayerFile[] | Promise<readonly LayerFile[]>;
  /** Directory with the layers' verified blobs, and nothing else. */
  readonly blobs: string;
  /** An empty directory, which becomes the root file system. The caller removes it after an error. */
  readonly target: string;
}

/** Options for the process. */
export interface UnpackChildSettings extends ChildSettings {
  readonly onProgress?: (progress: UnpackProgress) => void;
  /** Resolves when a layer's blob is complete. Absent: all are. */
  readonly fetched?: (file: string) => Promise<void>;
}

/** Yields the request, then a line for each layer that is complete, in the order of the layers. */
async function* requestsOf(
  promised: UnpackChildRequest['layers'],
  limits: UnpackLimits,
  fetched: UnpackChildSettings['fetched'],
): AsyncGenerator {
  const layers = await promised;
  checkRequest({ layers, limits });
  yield { layers, limits } satisfies UnpackRequest;
  for (const { file } of layers) {
    await fetched?.(file);
    yield { fetched: file };
  }
}

/**
 * Unpacks an image's layers in a process that has nothing but the blobs and the target (docs/adr/images.md, "Unpacking"). Resolves
 * when the process has ended. Throws a LayerError; the abort's reason if `signal` aborted it.
 */
export async function runUnpackChild(
  { blobs, target, limits, layers }: UnpackChildRequest,
  { onProgress, fetched, ...settings }: UnpackChildSettings = {},
): Promise<UnpackResult> {
  return await runChild(
    {
      task: { name: 'unpack', blobs, target },
      verb: 'unpacks the image',
      fileSize: limits.bytes,
      requests: requestsOf(layers, limits, fetched),
      milliseconds: limits.milliseconds,
      threads: 1,
      lineLength,
      parse: (line) => {
        const message = parseMessage(line);
        if (message.kind === 'error') return { kind: 'error', error: messageError(message) };
        if (message.kind === 'progress') onProgress?.(message.progress);
        return message;
      },
    },
    settings,
  );
}
