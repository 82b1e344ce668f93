import {
  type ChildPulledImage,
  parsePullMessage,
  type PullChildRequest,
  pullLineLength,
} from './pull-protocol.js';
import type { WrappedKey } from '../pull/pull-request.js';
import { type ChildSettings, runChild } from './run-child.js';

/**
 * Pulls an image in a process that has the network, no capability, and nothing but the directory for blobs, which belongs to its
 * user (`childUsers.pull`). Resolves when the process has ended. Throws an ImageError, or a LayerError about the process; the
 * abort's reason if `signal` aborted it.
 */
export async function runPullChild(
  { blobs, ...request }: PullChildRequest & { readonly blobs: string },
  {
    unwrapKey,
    ...settings
  }: ChildSettings & {
    /** Returns the options of a layer's cipher; undefined: there is no key for them. */
    readonly unwrapKey?: (key: WrappedKey) => Promise<Uint8Array | undefined>;
  } = {},
): Promise<ChildPulledImage> {
  return await runChild(
    {
      task: { name: 'pull', blobs },
      verb: 'pulls the image',
      fileSize: request.settings.maxBytes,
      request,
      milliseconds: request.totalMs,
      threads: 4,
      lineLength: pullLineLength,
      parse: parsePullMessage,
      answer: async (key) => {
        const options = await unwrapKey?.(key);
        return { options: options === undefined ? null : Buffer.from(options).toString('base64') };
      },
    },
    settings,
  );
}
