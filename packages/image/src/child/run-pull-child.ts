import {
  type ChildPulledImage,
  parsePullMessage,
  type PullChildRequest,
  pullLineLength,
} from './pull-protocol.js';
import { parseReference } from '../reference/reference.js';
import { KeyAnswers, type UnwrapKey } from './key-answers.js';
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
    readonly unwrapKey?: UnwrapKey;
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
      answer: new KeyAnswers(parseReference(request.reference), unwrapKey).answer,
    },
    settings,
  );
}
