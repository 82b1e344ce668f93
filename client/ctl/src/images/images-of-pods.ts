import { existsSync } from 'node:fs';
import { CommandError, ExitCode, type Options, type OptionRow } from '@kata-agent/cli';
import { type ImageConfig, parseImageConfig } from '@kata-agent/workloads';
import { imageIn, lockName, readLock, writeLock } from './image-lock.js';
import { type RegistryImage, registryImage } from './registry-image.js';

export const imageOptions: readonly OptionRow[] = [
  {
    flags: '--images <source>',
    description: `where the configurations of other images come from: pull asks their registries, with Docker's credentials, and writes ${lockName}; lock reads that file alone`,
    choices: ['pull', 'lock'],
  },
  { flags: '--lock <file>', description: 'the file of --images', fallback: lockName },
  {
    flags: '--platform <os/architecture>',
    description: 'the platform of --images pull',
    fallback: 'linux/amd64',
  },
  {
    flags: '--registry-ca <file>',
    description: 'a CA of the registries in PEM, instead of those of Node.js',
  },
];

/**
 * Returns the configurations of images as `--images` says; empty without it. Rejects with a CommandError: a registry or the lock does not
 * have one.
 */
export async function imagesOf(
  names: readonly string[],
  options: Options,
): Promise<ReadonlyMap<string, ImageConfig>> {
  const source = options.text('images');
  if (source === undefined) return new Map();
  const file = options.text('lock') ?? lockName;
  const found = source === 'pull' ? await pulled(names, options) : locked(names, file);
  if (source === 'pull') writeLock(file, new Map([...(existsSync(file) ? readLock(file) : []), ...found]));
  return new Map(
    [...found].map(([name, { configuration, digest, manifestDigest }]) => [
      name,
      { ...parseImageConfig(configuration), digest, manifestDigest },
    ]),
  );
}

async function pulled(
  names: readonly string[],
  options: Options,
): Promise<ReadonlyMap<string, RegistryImage>> {
  const [os = '', architecture = '', variant] = (options.text('platform') ?? '').split('/');
  const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) };
  const ca = options.text('registryCa');
  const access = { platform, ca: ca === undefined ? [] : [ca] };
  const found = new Map<string, RegistryImage>();
  for (const name of names) found.set(name, await registryImage(name, access));
  return found;
}

function locked(names: readonly string[], file: string): ReadonlyMap<string, RegistryImage> {
  const lock = readLock(file);
  return new Map(
    names.map((name) => {
      const image = imageIn(lock, name);
      if (image !== undefined) return [name, image];
      throw new CommandError(ExitCode.Failed, `${file} does not have image ${name}`, {
        help: ['ask its registry: --images pull'],
      });
    }),
  );
}
