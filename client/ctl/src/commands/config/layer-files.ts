import { lstatSync } from 'node:fs';
import type { VerifiedLayer } from '@kata-agent/catalogue/requested-root';
import {
  parseSnapshotterMetadata,
  parseVeritysetup,
  snapshotterLayer,
  type Workload,
} from '@kata-agent/workloads';
import {
  CommandError,
  ExitCode,
  type OptionRow,
  type Options,
  readAt,
  readTextInput,
  unreadable,
} from '@kata-agent/cli';
import { layersOfImage } from './make-layers.js';

export const layerOptions: readonly OptionRow[] = [
  {
    flags: '--layers <image=path>',
    description:
      'pin the layers of an image, with --snapshotter erofs: what `veritysetup format` printed for each, the file layer.erofs.dmverity of containerd, or a directory with an OCI image layout; may be repeated, the base first',
    repeatable: true,
  },
  {
    flags: '--layers-output <directory>',
    description: 'where to store the layers that are made from an OCI image layout (default: nowhere)',
  },
];

type LayersByImage = ReadonlyMap<string, readonly VerifiedLayer[]>;

/**
 * Reads the layers that the options pin; undefined without such options. Throws a CommandError: a file is invalid (1), options do not
 * fit (2), or a file or program is missing (3).
 */
export async function readLayers(
  options: Options,
  workloads: readonly Workload[],
): Promise<LayersByImage | undefined> {
  const given = options.texts('layers');
  const output = options.text('layersOutput');
  if (given.length === 0) {
    if (output !== undefined) throw new CommandError(ExitCode.Usage, '--layers-output: there is no --layers');
    return undefined;
  }
  if (options.text('snapshotter') !== 'erofs')
    throw new CommandError(
      ExitCode.Usage,
      '--layers: only the EROFS snapshotter passes layers to the guest',
      {
        help: ['add --snapshotter erofs'],
      },
    );
  const byImage = new Map<string, readonly VerifiedLayer[]>();
  for (const option of given) {
    const split = option.indexOf('=');
    if (split < 1) throw new CommandError(ExitCode.Usage, `--layers '${option}': must be IMAGE=PATH`);
    const image = option.slice(0, split);
    byImage.set(image, [...(byImage.get(image) ?? []), ...(await layersAt(option.slice(split + 1), output))]);
  }
  for (const [image, layers] of byImage)
    if (layers.length === 1)
      throw new CommandError(ExitCode.Failed, `--layers: image ${image} has one layer`, {
        help: ['runtime-rs 4.1 does not verify an image of one layer: add an empty layer to the image'],
      });
  const named = workloads.flatMap(({ containers }) => containers.map(({ image }) => image));
  const missing = named.find((image) => !byImage.has(image));
  if (missing !== undefined)
    throw new CommandError(ExitCode.Usage, `--layers: there are none for image ${missing}`, {
      help: ['name the layers of each image: with layers = "verified" the agent accepts no other root'],
    });
  const other = [...byImage.keys()].find((image) => !named.includes(image));
  if (other !== undefined)
    throw new CommandError(ExitCode.Usage, `--layers: no container has the image ${other}`, {
      help: ['write the name as in the pod'],
    });
  return byImage;
}

async function layersAt(path: string, output: string | undefined): Promise<readonly VerifiedLayer[]> {
  if (isDirectory(path)) return layersOfImage(path, output);
  const text = readTextInput(path);
  try {
    return text.trimStart().startsWith('{') ? [ofSnapshotter(path, text)] : parseVeritysetup(text);
  } catch (error) {
    if (!(error instanceof TypeError) && !(error instanceof SyntaxError)) throw error;
    throw new CommandError(ExitCode.Failed, `--layers: ${path} has no layers: ${error.message}`, {
      help: [
        'name what veritysetup format printed, layer.erofs.dmverity of containerd, or a directory with an OCI image layout',
      ],
      cause: error,
    });
  }
}

/** The layer lies beside the file, on a node of the cluster. */
function ofSnapshotter(path: string, text: string): VerifiedLayer {
  const metadata = parseSnapshotterMetadata(text);
  const layer = path.replace(/\.dmverity$/, '');
  const superblock = layer === path ? undefined : readAt(layer, metadata.hashOffset, 512);
  return snapshotterLayer(metadata, superblock);
}

function isDirectory(path: string): boolean {
  try {
    return lstatSync(path).isDirectory();
  } catch (error) {
    throw unreadable(path, error);
  }
}
