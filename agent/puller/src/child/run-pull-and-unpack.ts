import type { UnpackLimits } from '../unpack/budget.js';
import type { PullChildRequest } from './pull-protocol.js';
import type { ChildSettings } from './run-child.js';
import { type ChildPulledImage, runPullChild, type UnwrapKey } from './run-pull-child.js';
import { runUnpackChild } from './run-unpack-child.js';
import type { LayerFile, UnpackResult } from './unpack-protocol.js';

/** An image to pull and to unpack. */
interface PullAndUnpackRequest extends PullChildRequest {
  /** An empty directory that belongs to `childUsers.pull`. */
  readonly blobs: string;
  /** An empty directory, which becomes the root file system. The caller removes it after an error. */
  readonly target: string;
  readonly limits: UnpackLimits;
}

interface PullAndUnpackSettings extends Pick<ChildSettings, 'signal'> {
  readonly unwrapKey: UnwrapKey;
  /** Receives the image when all layers are fetched. */
  readonly onFetched?: (image: ChildPulledImage) => void;
}

/**
 * Pulls an image in one process, and unpacks it in another one meanwhile: each layer when it is fetched and those below it are unpacked.
 * Nothing is unpacked before the image is verified here. The process that pulls could still change a blob that is read: the `diffId`
 * is that of the bytes that were unpacked. Resolves when both processes have ended; if one fails, the other is ended. Throws as
 * `runPullChild` and `runUnpackChild`.
 */
export async function runPullAndUnpack(
  { target, limits, ...request }: PullAndUnpackRequest,
  { signal, unwrapKey, onFetched }: PullAndUnpackSettings,
): Promise<{ readonly image: ChildPulledImage; readonly unpacked: UnpackResult }> {
  const failed = new AbortController();
  const settings = { signal: AbortSignal.any([failed.signal, ...(signal === undefined ? [] : [signal])]) };
  const files = new CompleteFiles();
  let onImage: (image: ChildPulledImage) => void = () => undefined;
  const layers = new Promise<readonly LayerFile[]>((resolve) => {
    onImage = (image) => resolve(image.layers);
  });
  const pulling = runPullChild(request, { ...settings, unwrapKey, onImage, onFile: files.add }).then(
    (image) => {
      onFetched?.(image);
      return image;
    },
  );
  const { blobs } = request;
  const unpacking = runUnpackChild({ blobs, target, limits, layers }, { ...settings, fetched: files.has });
  try {
    const [image, unpacked] = await Promise.all([pulling, unpacking]);
    return { image, unpacked };
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled([pulling, unpacking]);
    throw error;
  }
}

/** Files of which nothing is missing. */
class CompleteFiles {
  readonly #complete = new Set<string>();
  /** The process that unpacks waits for one after the other. */
  #waiting: { readonly file: string; readonly resolve: () => void } | undefined;

  readonly add = (file: string): void => {
    this.#complete.add(file);
    if (this.#waiting?.file === file) this.#waiting.resolve();
  };

  /** Resolves when the file is complete. */
  readonly has = (file: string): Promise<void> =>
    new Promise((resolve) => {
      if (this.#complete.has(file)) resolve();
      else this.#waiting = { file, resolve };
    });
}
