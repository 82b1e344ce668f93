import { existsSync } from 'node:fs';
import { cellText, CommandError, ExitCode, type Options, type OptionRow } from '@kata-agent/cli';
import type { Platform } from '@kata-agent/registry';
import { type ImageConfig, type ImageConfigs, parseImageConfig } from '@kata-agent/workloads';
import { otherPlatform } from './image-platform.js';
import { imageIn, lockName, readLock, writeLock } from './image-lock.js';
import { type RegistryImage, registryImage } from './registry-image.js';

export const imageOptions: readonly OptionRow[] = [
  {
    flags: '--images <source>',
    description: `where other images are looked up: pull asks their registries, with Docker's credentials, and writes ${lockName}; lock reads that file; anything else is the path of an OCI layout, of an archive of docker save, podman save or skopeo, of what docker inspect prints, or of the directory of a containerd (/var/lib/containerd). May be repeated: each image is of the first that has it`,
    repeatable: true,
  },
  { flags: '--lock <file>', description: 'the lock of --images pull and lock', fallback: lockName },
  {
    flags: '--platform <os/architecture>',
    description: 'the platform that the images must be for',
    fallback: 'linux/amd64',
  },
  {
    flags: '--registry-ca <file>',
    description: 'a CA of the registries in PEM, instead of those of Node.js',
  },
];

/** Returns the value of `--platform`. */
export function platformOf(options: Options): Platform {
  const [os = '', architecture = '', variant] = (options.text('platform') ?? '').split('/');
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

/**
 * Looks up images as `--images` says, in the order of its values; returns none without it. Rejects with a CommandError: a source cannot be
 * read, or no source has an image.
 */
export async function imagesOf(names: readonly string[], options: Options): Promise<ImageConfigs> {
  const sources = options.texts('images');
  const found = new Map<string, ImageConfig>();
  const others: string[] = [];
  for (const source of sources) {
    const open = names.filter((name) => !found.has(name));
    const result = await lookUp(open, source, options);
    for (const [name, image] of result.images) found.set(name, image);
    if (result.has !== undefined)
      others.push(`${source} has ${result.has.map(cellText).join(', ') || 'none with a name'}`);
  }
  const missing = names.find((name) => !found.has(name));
  if (sources.length === 0 || missing === undefined) return found;
  throw notFound(missing, others, options);
}

interface LookedUp {
  readonly images: readonly (readonly [name: string, image: ImageConfig])[];
  /** The names of all images that a file has. */
  readonly has?: readonly string[];
}

async function lookUp(names: readonly string[], source: string, options: Options): Promise<LookedUp> {
  if (source === 'pull') return { images: await pulled(names, options) };
  if (source === 'lock') return { images: locked(names, options) };
  const { openStoredImages } = await import('./stored-images.js');
  const stored = openStoredImages(source, platformOf(options));
  const found: (readonly [string, ImageConfig])[] = [];
  for (const name of names) {
    const image = await stored.find(name);
    if (image !== undefined) found.push([name, image]);
  }
  return { images: found, has: stored.names };
}

/** Reads the configuration of an image. Throws a CommandError: it is not one (1), or of another platform (as said). */
function withConfiguration(
  [name, image]: readonly [string, RegistryImage],
  platform: Platform,
  other: { readonly exitCode: ExitCode; readonly help: readonly string[] },
): readonly [string, ImageConfig] {
  const { configuration, digest, manifestDigest } = image;
  let parsed: ImageConfig;
  try {
    parsed = parseImageConfig(configuration);
  } catch (error) {
    const why = cellText(error instanceof Error ? error.message : String(error));
    throw new CommandError(ExitCode.Failed, `image ${name}: its configuration cannot be read: ${why}`, {
      cause: error,
    });
  }
  const difference = otherPlatform(configuration, platform);
  if (difference !== undefined)
    throw new CommandError(other.exitCode, `image ${name}: ${difference}`, { help: other.help });
  return [name, { ...parsed, digest, manifestDigest }];
}

function lockFile(options: Options): string {
  return options.text('lock') ?? lockName;
}

/** Asks the registries, and writes the lock. */
async function pulled(names: readonly string[], options: Options): Promise<LookedUp['images']> {
  const ca = options.text('registryCa');
  const access = { platform: platformOf(options), ca: ca === undefined ? [] : [ca] };
  const found: (readonly [string, RegistryImage])[] = [];
  for (const name of names) found.push([name, await registryImage(name, access)]);
  // As for an index of a registry that does not have the platform.
  const other = { exitCode: ExitCode.CannotApply, help: ['name its platform: --platform'] };
  const images = found.map((each) => withConfiguration(each, access.platform, other));
  const file = lockFile(options);
  writeLock(file, new Map([...(existsSync(file) ? readLock(file) : []), ...found]));
  return images;
}

function locked(names: readonly string[], options: Options): LookedUp['images'] {
  const file = lockFile(options);
  const lock = readLock(file);
  const help = ['name its platform: --platform; or ask its registry again: --images pull'];
  const other = { exitCode: ExitCode.Failed, help };
  return names.flatMap((name) => {
    const image = imageIn(lock, name);
    return image === undefined ? [] : [withConfiguration([name, image], platformOf(options), other)];
  });
}

function notFound(image: string, has: readonly string[], options: Options): CommandError {
  const sources = options.texts('images').map((source) => (source === 'lock' ? lockFile(options) : source));
  const [first, ...others] = sources;
  const who = others.length === 0 ? `${first} does not have` : `none of ${sources.join(', ')} has`;
  return new CommandError(ExitCode.Failed, `${who} image ${image}`, {
    help: [...has, 'ask its registry: --images pull'],
  });
}
