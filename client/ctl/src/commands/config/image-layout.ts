import { createHash } from 'node:crypto';
import { arch } from 'node:os';
import { join } from 'node:path';
import { digestIn, type ImageConfig, parseImageConfig } from '@kata-agent/workloads';
import { CommandError, ExitCode, readInput } from '@kata-agent/cli';

/** Names of processors in image indexes. */
const architectures: Readonly<Record<string, string>> = { x64: 'amd64' };

/** A descriptor of an OCI manifest or index. */
interface Descriptor {
  readonly digest: string;
  readonly platform?: { readonly os?: string; readonly architecture?: string };
}

/**
 * Reads the configuration of an image from an OCI layout, by the digest in the image's name. Each file on the way is
 * verified, so that the layout needs no trust.
 *
 * @throws CommandError
 */
export function readImageLayout(image: string, directory: string): ImageConfig {
  const digest = digestIn(image);
  if (digest === undefined)
    throw new CommandError(
      ExitCode.Failed,
      `image ${image} has no digest, so that any image could be in the layout`,
      {
        help: [`write it as NAME@sha256:DIGEST, in the pod too: ${digestsHelp(directory)}`],
      },
    );
  const layout = new Layout(image, directory);
  const top = layout.json(digest);
  const platforms = descriptorsOf(top['manifests']);
  const manifestDigest = platforms === undefined ? digest : layout.ofPlatform(platforms).digest;
  const manifest = platforms === undefined ? top : layout.json(manifestDigest);
  const [config] = descriptorsOf([manifest['config']]) ?? [];
  if (config === undefined) throw layout.invalid(`the manifest ${manifestDigest} names no configuration`);
  try {
    return { ...parseImageConfig(layout.text(config.digest)), digest, manifestDigest };
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw layout.invalid(error instanceof Error ? error.message : String(error), error);
  }
}

/** Suggests how to find the digest of an image with a tag. */
function digestsHelp(directory: string): string {
  return `jq -r '.manifests[].digest' ${join(directory, 'index.json')} prints the digests that it has`;
}

class Layout {
  readonly #image: string;
  readonly #directory: string;

  constructor(image: string, directory: string) {
    this.#image = image;
    this.#directory = directory;
  }

  /** Returns a blob that has its digest. */
  text(digest: string): string {
    const [, hex] = /^sha256:([0-9a-f]{64})$/.exec(digest) ?? [];
    if (hex === undefined) throw this.invalid(`${JSON.stringify(digest)} is no SHA-256 digest`);
    const path = join(this.#directory, 'blobs', 'sha256', hex);
    let bytes: Uint8Array;
    try {
      bytes = readInput(path);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      throw new CommandError(
        error.exitCode,
        `${error.message}: the layout does not have image ${this.#image}`,
        {
          help: [`skopeo copy --all --preserve-digests docker://${this.#image} oci:${this.#directory}`],
          cause: error,
        },
      );
    }
    if (createHash('sha256').update(bytes).digest('hex') !== hex)
      throw this.invalid(`${path} does not have the digest of its name`);
    return Buffer.from(bytes).toString('utf8');
  }

  json(digest: string): Readonly<Record<string, unknown>> {
    try {
      const parsed: unknown = JSON.parse(this.text(digest));
      if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
        return parsed as Readonly<Record<string, unknown>>;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    throw this.invalid(`${digest} is neither a manifest nor an index`);
  }

  /** Returns the image of this machine's platform, or the only one. */
  ofPlatform(manifests: readonly Descriptor[]): Descriptor {
    const own = architectures[arch()] ?? arch();
    const linux = manifests.filter(({ platform }) => platform?.os === 'linux');
    const found =
      linux.find(({ platform }) => platform?.architecture === own) ??
      (linux.length === 1 ? linux[0] : undefined);
    if (found !== undefined) return found;
    const names = linux.map(({ platform }) => platform?.architecture ?? 'unknown').join(', ') || 'none';
    throw this.invalid(`the image has no platform linux/${own}: it has ${names}`);
  }

  invalid(why: string, cause?: unknown): CommandError {
    return new CommandError(
      ExitCode.Failed,
      `${this.#directory} is no OCI layout of ${this.#image}: ${why}`,
      { cause },
    );
  }
}

function descriptorsOf(value: unknown): readonly Descriptor[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.every(isDescriptor) ? value : undefined;
}

function isDescriptor(value: unknown): value is Descriptor {
  return typeof value === 'object' && value !== null && 'digest' in value && typeof value.digest === 'string';
}
