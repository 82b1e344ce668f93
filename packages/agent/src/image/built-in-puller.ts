import type { KeyObject } from 'node:crypto';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  GuestError,
  type ImagePuller,
  type PackRequest,
  type PulledImage,
  type PullRequest,
} from '@kata-agent/guest';
import {
  checkReference,
  type ChildPulledImage,
  childUsers,
  type Credential,
  credentialFor,
  decryptJwe,
  defaultLimits,
  parseReference,
  type PullSettings,
  runPackChild,
  runPullChild,
  runUnpackChild,
} from '@kata-agent/image';
import { mount, type NetworkPlace, type Syscalls, unmountTree } from '@kata-agent/linux';
import type { Log } from '../startup/log.js';
import { imageFailure } from './image-failure.js';

export interface PullerOptions {
  readonly syscalls: Syscalls;
  readonly settings: Omit<PullSettings, 'credentials'>;
  /** All credentials; they are asked for at each pull. */
  readonly credentials: (signal: AbortSignal) => Promise<readonly Credential[]>;
  /** Returns the private keys for encrypted layers, which are asked for at each pull of an image that has some. */
  readonly decryptionKeys: (signal: AbortSignal) => Promise<readonly KeyObject[]>;
  /** Undefined: registries are reached directly. */
  readonly proxy?: NetworkPlace | undefined;
  /** Whether roots are packed for a disk. Absent: they stay in memory. */
  readonly packs?: boolean;
  /** For an image, from the request to the unpacked root; and to pack that. */
  readonly timeoutMs: number;
  readonly log: Log;
}

/**
 * Pulls images by the policy of the configuration: one process fetches and verifies, another one unpacks
 * (docs/adr/0064-the-built-in-puller.md). Both are in memory, each with a limit of its own.
 */
export class BuiltInPuller implements ImagePuller {
  readonly #options: PullerOptions;
  readonly pack: ImagePuller['pack'];

  constructor(options: PullerOptions) {
    this.#options = options;
    this.pack = options.packs === true ? (request) => this.#pack(request) : undefined;
  }

  async pull(request: PullRequest): Promise<PulledImage> {
    const { syscalls } = this.#options;
    const { reference, directory } = request;
    const blobs = join(directory, 'blobs');
    const rootfs = join(directory, 'rootfs');
    try {
      const deadline = performance.now() + this.#options.timeoutMs;
      const image = await this.#fetch(request, blobs);
      await this.#unpack(request, { image, blobs, rootfs, deadline });
      unmountTree(syscalls, blobs);
      rmdirSync(blobs);
      return resultOf(reference, image);
    } catch (error) {
      unmountTree(syscalls, directory);
      throw imageFailure(reference, error);
    }
  }

  async #fetch({ reference, container, signal }: PullRequest, blobs: string): Promise<ChildPulledImage> {
    const { settings, credentials, decryptionKeys, proxy, timeoutMs, log } = this.#options;
    const parsed = parseReference(reference);
    // The process checks this, too: here a refusal needs neither the process nor the data hub.
    checkReference(parsed, settings);
    const credential = credentialFor(parsed, await credentials(signal));
    const owner = childUsers.pull;
    this.#mountTmpfs(blobs, [`uid=${owner}`, `gid=${owner}`, 'mode=700', 'nosuid', 'nodev', 'noexec']);
    const started = performance.now();
    let keys: Promise<readonly KeyObject[]> | undefined;
    const image = await runPullChild(
      {
        blobs,
        reference,
        // The process has no other secret than the one that it uses.
        settings: { ...settings, credentials: credential === undefined ? [] : [credential] },
        totalMs: timeoutMs,
        userAgent: 'kata-agent',
        proxy,
      },
      {
        signal,
        // Its private keys stay here, too.
        unwrapKey: async ({ scheme, packet }) =>
          scheme === 'jwe' ? decryptJwe(packet, await (keys ??= decryptionKeys(signal))) : undefined,
      },
    );
    log('info', 'an image was fetched and verified', {
      container,
      image: image.reference,
      digest: image.digest,
      manifestDigest: image.manifestDigest,
      signatures: image.signatures.join(', ') || 'none required',
      layers: image.layers.length,
      bytes: image.bytes,
      ms: Math.round(performance.now() - started),
    });
    return image;
  }

  async #unpack({ reference, container, signal }: PullRequest, { image, blobs, rootfs, deadline }: Fetched) {
    const { settings, timeoutMs, log } = this.#options;
    const left = deadline - performance.now();
    if (left <= 0)
      throw new GuestError(
        'deadline',
        `image ${JSON.stringify(reference)} cannot be pulled: it took more than ${timeoutMs / 1000} s (image_pull_timeout)`,
      );
    const limits = { ...defaultLimits, bytes: settings.maxBytes, milliseconds: left };
    // The root and what a container makes in it need inodes, too.
    this.#mountTmpfs(rootfs, ['mode=755', `nr_inodes=${limits.entries + spareInodes}`]);
    const { entries, bytes, milliseconds, droppedAttributes } = await runUnpackChild(
      { blobs, target: rootfs, layers: image.layers, limits },
      { signal },
    );
    const dropped = Object.keys(droppedAttributes).join(', ');
    log('info', 'an image was unpacked', {
      container,
      entries,
      bytes,
      ms: Math.round(milliseconds),
      ...(dropped === '' ? {} : { dropped }),
    });
  }

  async #pack({ reference, directory, signal }: PackRequest): Promise<string> {
    const { syscalls, settings, timeoutMs } = this.#options;
    const source = join(directory, 'rootfs');
    const target = join(directory, 'packed');
    const owner = childUsers.pack;
    this.#mountTmpfs(target, [`uid=${owner}`, `gid=${owner}`, 'mode=700', 'nosuid', 'nodev', 'noexec']);
    try {
      const request = { source, target, maxBytes: settings.maxBytes, milliseconds: timeoutMs };
      const image = await runPackChild(request, { signal });
      unmountTree(syscalls, source);
      return image;
    } catch (error) {
      throw imageFailure(reference, error);
    }
  }

  #mountTmpfs(target: string, options: readonly string[]): void {
    const { syscalls, settings } = this.#options;
    mkdirSync(target, { mode: 0o700 });
    mount(syscalls, {
      source: 'tmpfs',
      target,
      type: 'tmpfs',
      options: [`size=${settings.maxBytes}`, ...options],
    });
  }
}

const spareInodes = 100_000;

interface Fetched {
  readonly image: ChildPulledImage;
  readonly blobs: string;
  readonly rootfs: string;
  /** Of `performance.now()`. */
  readonly deadline: number;
}

function resultOf(
  reference: string,
  { digest, manifestDigest, process, signatures }: ChildPulledImage,
): PulledImage {
  const { entrypoint, command, environment, user, workingDirectory, volumes, stopSignal } = process;
  return {
    reference,
    digest,
    manifestDigest,
    signatures,
    config: {
      entrypoint,
      cmd: command,
      env: environment,
      user,
      workingDir: workingDirectory,
      volumes,
      stopSignal,
    },
  };
}
