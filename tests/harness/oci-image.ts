import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

export const indexType = 'application/vnd.oci.image.index.v1+json';
export const manifestType = 'application/vnd.oci.image.manifest.v1+json';
export const configType = 'application/vnd.oci.image.config.v1+json';
export const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip';

/** Anything that becomes JSON. */
export type Members = Readonly<Record<string, unknown>>;

export interface Stored {
  readonly digest: string;
  readonly bytes: Buffer;
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export function stored(content: Buffer | Members): Stored {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
  return { digest: sha256(bytes), bytes };
}

export function descriptor(mediaType: string, { digest, bytes }: Stored, more: Members = {}): Members {
  return { mediaType, digest, size: bytes.length, ...more };
}

/** A layer: a tar archive of one file. */
export interface Layer extends Stored {
  readonly diffId: string;
}

export function layerOf(name: string, content: Buffer | string): Layer {
  const directory = mkdtempSync(join(tmpdir(), 'kata-layer-'));
  try {
    writeFileSync(join(directory, name), content);
    return layerOfTree(directory, name);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** A layer: what is in a directory, or one name of it. */
export function layerOfTree(directory: string, name = '.'): Layer {
  const tar = execFileSync('tar', ['-c', '--mtime=@0', '--owner=0', '--group=0', '-C', directory, name], {
    maxBuffer: 1 << 30,
  });
  return { ...stored(gzipSync(tar, { level: 1 })), diffId: sha256(tar) };
}

export interface ImageChange {
  readonly config?: Members;
  readonly manifest?: Members;
  readonly layers?: readonly Layer[];
  /** Of each layer's descriptor. */
  readonly layer?: Members;
}

/** An image of amd64 or of this processor, and what it consists of. */
export interface TestImage {
  readonly manifest: Stored;
  readonly config: Stored;
  readonly layers: readonly Layer[];
}

export const architecture: string = process.arch === 'x64' ? 'amd64' : process.arch;

export function imageOf(change: ImageChange = {}): TestImage {
  const layers = change.layers ?? [layerOf('a', 'first'), layerOf('b', 'second')];
  const config = stored({
    os: 'linux',
    architecture,
    config: { Entrypoint: ['/a'], Cmd: ['x'], Env: ['A=b'], WorkingDir: '/w' },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    ...change.config,
  });
  const manifest = stored({
    schemaVersion: 2,
    mediaType: manifestType,
    config: descriptor(configType, config),
    layers: layers.map((layer) => descriptor(layerType, layer, change.layer)),
    ...change.manifest,
  });
  return { manifest, config, layers };
}

/** An index with the images, each for a platform. */
export function indexOf(
  entries: readonly { readonly image: Stored; readonly platform: Members; readonly more?: Members }[],
  change: Members = {},
): Stored {
  return stored({
    schemaVersion: 2,
    mediaType: indexType,
    manifests: entries.map(({ image, platform, more }) =>
      descriptor(manifestType, image, { platform, ...more }),
    ),
    ...change,
  });
}

/** Writes an OCI layout with an image or an index, which skopeo reads as `oci:DIRECTORY:x`. */
export function writeLayout(
  directory: string,
  top: Stored,
  mediaType: string,
  images: readonly TestImage[],
): void {
  const blobs = join(directory, 'blobs', 'sha256');
  mkdirSync(blobs, { recursive: true });
  for (const { digest, bytes } of [
    top,
    ...images.flatMap(({ manifest, config, layers }) => [manifest, config, ...layers]),
  ])
    writeFileSync(join(blobs, digest.slice(7)), bytes);
  writeFileSync(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(
    join(directory, 'index.json'),
    JSON.stringify({
      schemaVersion: 2,
      manifests: [descriptor(mediaType, top, { annotations: { 'org.opencontainers.image.ref.name': 'x' } })],
    }),
  );
}
