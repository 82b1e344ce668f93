import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  createReadStream,
  createWriteStream,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGunzip } from 'node:zlib';
import type { VerifiedLayer } from '@kata-agent/catalogue/requested-root';
import {
  parseSnapshotterMetadata,
  parseVeritysetup,
  snapshotterLayer,
  snapshotterSalt,
  type Workload,
} from '@kata-agent/workloads';
import {
  CommandError,
  ExitCode,
  type OptionRow,
  type Options,
  readAt,
  readTextInput,
  reasonOf,
  unreadable,
} from '@kata-agent/cli';

const run = promisify(execFile);

/** The Debian packages of the programs. */
const packages = { 'mkfs.erofs': 'erofs-utils', veritysetup: 'cryptsetup-bin' } as const;

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

/** A layer of an image, as its manifest names it. */
interface Descriptor {
  readonly digest: string;
  readonly mediaType: string;
}

/**
 * Makes the layers of the image in a directory with an OCI image layout, as containerd's EROFS differ makes them with the options
 * that Kata installs (`-T0 --mkfs-time --sort=none`): the same version of mkfs.erofs makes the same bytes.
 *
 * @param output where the layers are stored; undefined: nowhere
 */
async function layersOfImage(layout: string, output: string | undefined): Promise<readonly VerifiedLayer[]> {
  const layers = manifestLayers(layout);
  const directory = mkdtempSync(join(tmpdir(), 'kata-agent-layers-'));
  try {
    if (output !== undefined) mkdirSync(output, { recursive: true });
    const made: VerifiedLayer[] = [];
    for (const [index, layer] of layers.entries()) {
      const tar = join(directory, 'layer.tar');
      await unpackBlob(layout, layer, tar);
      const image = join(output ?? directory, `${String(index).padStart(3, '0')}.erofs`);
      rmSync(image, { force: true });
      made.push(await makeLayer(tar, image, layer.digest));
    }
    return made;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function makeLayer(tar: string, image: string, digest: string): Promise<VerifiedLayer> {
  const uuid = nameBasedUuid(`erofs:blobs/${digest}`);
  const fixed = ['--tar=f', '--aufs', '--quiet', '-Enoinline_data', '-T0', '--mkfs-time', '--sort=none'];
  await program('mkfs.erofs', [...fixed, '-U', uuid, image, tar]);
  const size = Math.ceil(statSync(image).size / 4096) * 4096;
  truncateSync(image, size);
  const format = ['--hash=sha256', '--format=1', '--data-block-size=4096', '--hash-block-size=4096'];
  const printed = await program('veritysetup', [
    'format',
    ...format,
    `--salt=${snapshotterSalt}`,
    `--data-blocks=${size / 4096}`,
    `--hash-offset=${size}`,
    image,
    image,
  ]);
  const [layer] = parseVeritysetup(printed);
  if (layer === undefined) throw new CommandError(ExitCode.Failed, 'veritysetup format printed nothing');
  return layer;
}

async function program(name: keyof typeof packages, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run(name, [...args], { env: { ...process.env, LC_ALL: 'C' } });
    return stdout;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw new CommandError(ExitCode.CannotApply, `--layers: ${name} is missing, which makes layers`, {
        help: [`apt-get install ${packages[name]}`],
        cause: error,
      });
    const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    const unknownOption = /unrecognized option '([^']*)'/.exec(stderr)?.[1];
    if (name === 'mkfs.erofs' && unknownOption !== undefined)
      throw new CommandError(
        ExitCode.CannotApply,
        `--layers: mkfs.erofs is too old: it does not know ${unknownOption}`,
        {
          help: ['use erofs-utils 1.8 or later, such as that of Debian 13'],
          cause: error,
        },
      );
    throw new CommandError(ExitCode.Failed, `--layers: ${name} failed: ${stderr || reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** Decompresses a blob; fails if it does not have its digest. */
async function unpackBlob(layout: string, { digest, mediaType }: Descriptor, target: string): Promise<void> {
  const isGzip = mediaType.endsWith('+gzip') || mediaType.endsWith('.tar.gzip');
  if (!isGzip && !mediaType.endsWith('.tar'))
    throw new CommandError(ExitCode.Failed, `--layers: layer ${digest} has the media type ${mediaType}`, {
      help: ['copy the image with gzip layers: skopeo copy --dest-compress-format gzip'],
    });
  const hash = createHash('sha256');
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  const blob = blobPath(layout, digest);
  try {
    await pipeline([
      createReadStream(blob),
      hashing,
      ...(isGzip ? [createGunzip()] : []),
      createWriteStream(target),
    ]);
  } catch (error) {
    throw new CommandError(ExitCode.CannotApply, `--layers: cannot read ${blob}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  const found = `sha256:${hash.digest('hex')}`;
  if (found !== digest) throw new CommandError(ExitCode.Failed, `--layers: ${blob} has the digest ${found}`);
}

/** Returns the layers of the only image of a layout, the base first. */
function manifestLayers(layout: string): readonly Descriptor[] {
  const descriptors = (text: string, key: string): readonly Descriptor[] => {
    const parsed: unknown = JSON.parse(text);
    const list: unknown = parsed instanceof Object ? (parsed as Record<string, unknown>)[key] : undefined;
    return Array.isArray(list) ? list.filter(isDescriptor) : [];
  };
  try {
    const images = descriptors(readTextInput(join(layout, 'index.json')), 'manifests');
    const [image, other] = images;
    if (image === undefined || other !== undefined || /index|manifest\.list/.test(image.mediaType))
      throw new CommandError(ExitCode.Failed, `--layers: ${layout} must have one image of one platform`, {
        help: ['copy one: skopeo copy docker://IMAGE@DIGEST oci:DIRECTORY'],
      });
    const text = readTextInput(blobPath(layout, image.digest));
    if (`sha256:${createHash('sha256').update(text).digest('hex')}` !== image.digest)
      throw new CommandError(ExitCode.Failed, `--layers: the manifest of ${layout} does not have its digest`);
    return descriptors(text, 'layers');
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new CommandError(ExitCode.Failed, `--layers: ${layout} is no OCI image layout: ${error.message}`, {
      cause: error,
    });
  }
}

function isDescriptor(value: unknown): value is Descriptor {
  return (
    value instanceof Object &&
    'digest' in value &&
    typeof value.digest === 'string' &&
    /^sha256:[0-9a-f]{64}$/.test(value.digest) &&
    'mediaType' in value &&
    typeof value.mediaType === 'string'
  );
}

function blobPath(layout: string, digest: string): string {
  return join(layout, 'blobs', digest.replace(':', '/'));
}

/** Returns a UUID of version 5 in the name space of URLs (RFC 9562), by which containerd names the file system of a layer. */
function nameBasedUuid(name: string): string {
  const space = Buffer.from('6ba7b8119dad11d180b400c04fd430c8', 'hex');
  const bytes = createHash('sha1').update(space).update(name).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
