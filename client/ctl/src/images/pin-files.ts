import { CommandError, ExitCode, type Options } from '@kata-agent/cli';
import {
  type ImageConfig,
  type ImageConfigs,
  type ObjectFile,
  type PassedOver,
  pinImages,
  type PodImage,
  readImages,
  WorkloadError,
  type WorkloadImages,
} from '@kata-agent/workloads';
import { imagesOf } from './images-of-pods.js';

/** Files of objects whose images have digests. */
export interface PinnedFiles {
  readonly files: readonly ObjectFile[];
  /** What was pinned in each workload, in the order of `readManifests`. */
  readonly workloads: readonly PinnedWorkload[];
  /** The configurations of the images that were pinned, by their new names. */
  readonly images: ImageConfigs;
  readonly passedOver: readonly PassedOver[];
}

interface PinnedWorkload extends WorkloadImages {
  readonly pins: readonly Pin[];
}

/** An image that gets a digest. */
export interface Pin extends PodImage {
  /** `nginx:1.27@sha256:…`. */
  readonly pinned: string;
}

/** Writes the digest of each image into objects, as the source of `--images` has it. Rejects with a CommandError. */
export async function pinFiles(files: readonly ObjectFile[], options: Options): Promise<PinnedFiles> {
  const { workloads, passedOver } = imagesInFiles(files, options);
  const names = new Set(workloads.flatMap(unpinnedImages).map(({ image }) => image));
  if (names.size > 0 && options.texts('images').length === 0)
    throw new CommandError(ExitCode.Usage, 'no source of digests given', {
      help: ['ask the registries of the images: --images pull'],
    });
  const found = await imagesOf([...names], options);
  const digests = new Map([...found].map(([name, image]) => [name, digestOf(name, image)]));
  const pinnedName = (image: string): string => `${image}@${digests.get(image) ?? ''}`;
  return {
    files: asCommand(() =>
      files.map((file) => ({
        ...file,
        text: pinImages(file, { templates: options.texts('podTemplate'), digests }),
      })),
    ),
    workloads: workloads.map((workload) => ({
      ...workload,
      pins: unpinnedImages(workload).map((each) => ({ ...each, pinned: pinnedName(each.image) })),
    })),
    images: new Map([...found].map(([name, image]) => [pinnedName(name), image])),
    passedOver,
  };
}

/** Returns the images of a workload that have no digest. */
export function unpinnedImages({ images }: WorkloadImages): readonly PodImage[] {
  return images.filter(({ isPinned }) => !isPinned);
}

/** Returns the images of the workloads of files. Throws a CommandError. */
export function imagesInFiles(files: readonly ObjectFile[], options: Options): ReturnType<typeof readImages> {
  return asCommand(() => readImages(files, { templates: options.texts('podTemplate') }));
}

/** `spec.containers[0].image: nginx:1.27 → nginx:1.27@sha256:…`. */
export function pinText({ path, image, pinned }: Pin): string {
  return `${path}: ${image} → ${pinned}`;
}

function digestOf(name: string, { digest }: ImageConfig): string {
  if (digest !== undefined) return digest;
  throw new CommandError(
    ExitCode.Failed,
    `image ${name}: its source does not have the digest of a registry`,
    {
      help: ['ask its registry: --images pull'],
    },
  );
}

function asCommand<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof WorkloadError)) throw error;
    throw new CommandError(ExitCode.Failed, error.message, { cause: error });
  }
}
