import {
  checkRequest,
  lineLength,
  messageError,
  parseMessage,
  type UnpackProgress,
  type UnpackRequest,
  type UnpackResult,
} from './unpack-protocol.js';
import { type ChildSettings, runChild } from './run-child.js';

/** An image to unpack in a process of its own. */
export interface UnpackChildRequest extends UnpackRequest {
  /** Directory with the layers' verified blobs, and nothing else. */
  readonly blobs: string;
  /** An empty directory, which becomes the root file system. The caller removes it after an error. */
  readonly target: string;
}

/** Options for the process. */
export interface UnpackChildSettings extends ChildSettings {
  readonly onProgress?: (progress: UnpackProgress) => void;
}

/**
 * Unpacks an image's layers in a process that has nothing but the blobs and the target (docs/adr/images.md, "Unpacking"). Resolves
 * when the process has ended. Throws a LayerError; the abort's reason if `signal` aborted it.
 */
export async function runUnpackChild(
  { blobs, target, limits, layers }: UnpackChildRequest,
  { onProgress, ...settings }: UnpackChildSettings = {},
): Promise<UnpackResult> {
  checkRequest({ layers, limits });
  return await runChild(
    {
      task: { name: 'unpack', blobs, target },
      verb: 'unpacks the image',
      fileSize: limits.bytes,
      request: { layers, limits },
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
