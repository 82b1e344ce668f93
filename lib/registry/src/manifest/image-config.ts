import { type Digest, isDigest } from '../reference/digest.js';
import { parseDocument, type Platform } from './manifest.js';

/** The configuration of an image: what it is for, and the process that it declares. */
export interface ImageConfig {
  readonly platform: Platform;
  readonly process: ImageProcess;
  /** The digests of the unpacked layers, the lowest first. */
  readonly diffIds: readonly Digest[];
}

/** Absent lists are empty. */
export interface ImageProcess {
  /** `USER[:GROUP]`, by name or number; empty: root. */
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  /** `NAME=VALUE`. */
  readonly environment: readonly string[];
  /** Empty: `/`. */
  readonly workingDirectory: string;
  readonly volumes: readonly string[];
  /** Empty: SIGTERM. */
  readonly stopSignal: string;
  readonly labels: ReadonlyMap<string, string>;
}

const maxItems = 10_000;

/** Parses a configuration (OCI, or Docker schema 2). Its history is not read: it is free text. Throws an ImageError. */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const fields = parseDocument(bytes, 'the configuration of the image');
  const variant = fields.optionalString('variant');
  const rootfs = fields.object('rootfs');
  if (rootfs.string('type') !== 'layers') throw rootfs.error('type', 'is not layers');
  const diffIds = rootfs.strings('diff_ids', maxItems).map((id, index) => {
    if (!isDigest(id)) throw rootfs.error(`diff_ids[${index}]`, 'is not a sha256 or sha512 digest');
    return id;
  });
  const process = fields.optionalObject('config');
  return {
    platform: {
      os: fields.string('os'),
      architecture: fields.string('architecture'),
      ...(variant === undefined ? {} : { variant }),
    },
    process: {
      user: process?.optionalString('User') ?? '',
      entrypoint: process?.optionalStrings('Entrypoint', maxItems) ?? [],
      command: process?.optionalStrings('Cmd', maxItems) ?? [],
      environment: process?.optionalStrings('Env', maxItems) ?? [],
      workingDirectory: process?.optionalString('WorkingDir') ?? '',
      volumes: process?.optionalObject('Volumes')?.names() ?? [],
      stopSignal: process?.optionalString('StopSignal') ?? '',
      labels: process?.stringMap('Labels') ?? new Map(),
    },
    diffIds,
  };
}
