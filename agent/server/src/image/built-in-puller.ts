import type { KeyObject } from 'node:crypto';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { Semaphore } from '@kata-agent/base';
import {
  GuestError,
  type GuestErrorKind,
  type ImagePuller,
  type PackRequest,
  type PulledImage,
  type PullRequest,
} from '@kata-agent/guest';
import {
  checkReference,
  type ChildPulledImage,
  childUsers,
  decryptJwe,
  defaultLimits,
  LayerError,
  type LayerErrorCode,
  type PullSettings,
  runPackChild,
  runPullAndUnpack,
} from '@kata-agent/puller';
import {
  type Credential,
  credentialFor,
  ImageError,
  type ImageErrorCode,
  parseReference,
} from '@kata-agent/registry';
import { mount, type NetworkPlace, type Syscalls, unmountTree } from '@kata-agent/linux';
import type { Log } from '../log.js';

export interface PullQueueLimits {
  readonly atOnce: number;
  readonly waiting: number;
}

/**
 * Two pulls use the network and the processors of a guest. Each has two processes with up to 1 GiB of memory, and two file systems in
 * memory.
 */
const limitsByDefault: PullQueueLimits = { atOnce: 2, waiting: 16 };

/** Codes of a pull whose kind is not `precondition`. */
const imageKinds: Readonly<Partial<Record<ImageErrorCode, GuestErrorKind>>> = {
  'reference-invalid': 'invalid',
  'registry-not-allowed': 'refused',
  'digest-required': 'refused',
  'signature-scope-missing': 'refused',
  'signature-missing': 'refused',
  'signature-invalid': 'refused',
  'digest-mismatch': 'refused',
  'size-mismatch': 'refused',
  'token-host-not-listed': 'refused',
  'redirect-refused': 'refused',
  'not-found': 'not-found',
  'platform-missing': 'not-found',
  'image-too-large': 'exhausted',
  'disk-full': 'exhausted',
  'too-slow': 'deadline',
  'storage-failed': 'internal',
};

/** Codes of layers whose kind is not `refused`. */
const layerKinds: Readonly<Partial<Record<LayerErrorCode, GuestErrorKind>>> = {
  limit: 'exhausted',
  space: 'exhausted',
  system: 'internal',
  child: 'internal',
};

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
  /** For an image, from the request to the unpacked root, with the time that it waits for other pulls; and to pack that. */
  readonly timeoutMs: number;
  readonly log: Log;
}

/**
 * Pulls images by the policy of the configuration: one process fetches and verifies, another one unpacks meanwhile
 * (docs/adr/images.md, "The built-in puller"). Both are in memory, each with a limit of its own.
 */
export class BuiltInPuller implements ImagePuller {
  readonly #options: PullerOptions;
  readonly pack: ImagePuller['pack'];
  readonly #queue = new PullQueue();

  constructor(options: PullerOptions) {
    this.#options = options;
    this.pack = options.packs === true ? (request) => this.#pack(request) : undefined;
  }

  async pull(request: PullRequest): Promise<PulledImage> {
    const { settings, timeoutMs } = this.#options;
    const { reference } = request;
    const deadline = new PullDeadline(reference, timeoutMs);
    try {
      // The process checks this, too: here a refusal needs neither the process, nor its turn, nor the data hub.
      checkReference(parseReference(reference), settings);
      return await this.#queue.run(() => this.#pullNow(request, deadline), {
        signal: AbortSignal.any([request.signal, deadline.signal]),
        refusal: ({ atOnce, waiting }) =>
          pullFailure(
            'exhausted',
            reference,
            `${atOnce} images are being pulled, and ${waiting} wait for it; help: create the container again when fewer wait`,
          ),
      });
    } catch (error) {
      throw imageFailure(reference, error);
    } finally {
      deadline.clear();
    }
  }

  async #pullNow(request: PullRequest, deadline: PullDeadline): Promise<PulledImage> {
    const { syscalls } = this.#options;
    const { reference, directory } = request;
    const blobs = join(directory, 'blobs');
    const rootfs = join(directory, 'rootfs');
    try {
      const image = await this.#pullAndUnpack(request, { blobs, rootfs, deadline });
      unmountTree(syscalls, blobs);
      rmdirSync(blobs);
      return resultOf(reference, image);
    } catch (error) {
      unmountTree(syscalls, directory);
      throw error;
    }
  }

  async #pullAndUnpack(
    { reference, container, signal }: PullRequest,
    { blobs, rootfs, deadline }: PullPlaces,
  ): Promise<ChildPulledImage> {
    const { settings, credentials, decryptionKeys, proxy, log } = this.#options;
    const credential = credentialFor(parseReference(reference), await credentials(signal));
    const owner = childUsers.pull;
    this.#mountTmpfs(blobs, [`uid=${owner}`, `gid=${owner}`, 'mode=700', 'nosuid', 'nodev', 'noexec']);
    const milliseconds = deadline.left();
    const limits = { ...defaultLimits, bytes: settings.maxBytes, milliseconds };
    // The root and what a container makes in it need inodes, too.
    this.#mountTmpfs(rootfs, ['mode=755', `nr_inodes=${limits.entries + spareInodes}`]);
    const started = performance.now();
    let keys: Promise<readonly KeyObject[]> | undefined;
    const { image, unpacked } = await runPullAndUnpack(
      {
        blobs,
        target: rootfs,
        limits,
        reference,
        // The process has no other secret than the one that it uses.
        settings: { ...settings, credentials: credential === undefined ? [] : [credential] },
        totalMs: milliseconds,
        userAgent: 'kata-agent',
        proxy,
      },
      {
        signal,
        // Its private keys stay here, too.
        unwrapKey: async ({ scheme, packet }) =>
          scheme === 'jwe' ? decryptJwe(packet, await (keys ??= decryptionKeys(signal))) : undefined,
        onFetched: (fetched) =>
          log('info', 'an image was fetched and verified', {
            container,
            image: fetched.reference,
            digest: fetched.digest,
            manifestDigest: fetched.manifestDigest,
            signatures: fetched.signatures.join(', ') || 'none required',
            layers: fetched.layers.length,
            bytes: fetched.bytes,
            ms: Math.round(performance.now() - started),
          }),
      },
    );
    const dropped = Object.keys(unpacked.droppedAttributes).join(', ');
    log('info', 'an image was unpacked', {
      container,
      entries: unpacked.entries,
      bytes: unpacked.bytes,
      ms: Math.round(unpacked.milliseconds),
      ...(dropped === '' ? {} : { dropped }),
    });
    return image;
  }

  async #pack(request: PackRequest): Promise<string> {
    const { reference, signal } = request;
    const deadline = new PullDeadline(reference, this.#options.timeoutMs);
    try {
      return await this.#queue.resume(
        () => this.#packNow(request, deadline),
        AbortSignal.any([signal, deadline.signal]),
      );
    } catch (error) {
      throw imageFailure(reference, error);
    } finally {
      deadline.clear();
    }
  }

  async #packNow({ directory, signal }: PackRequest, deadline: PullDeadline): Promise<string> {
    const { syscalls, settings } = this.#options;
    const source = join(directory, 'rootfs');
    const target = join(directory, 'packed');
    const owner = childUsers.pack;
    this.#mountTmpfs(target, [`uid=${owner}`, `gid=${owner}`, 'mode=700', 'nosuid', 'nodev', 'noexec']);
    const request = { source, target, maxBytes: settings.maxBytes, milliseconds: deadline.left() };
    const image = await runPackChild(request, { signal });
    unmountTree(syscalls, source);
    return image;
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

interface PullPlaces {
  readonly blobs: string;
  readonly rootfs: string;
  readonly deadline: PullDeadline;
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

/** Returns the error of an image that is not pulled. */
function pullFailure(kind: GuestErrorKind, reference: string, why: string, cause?: unknown): GuestError {
  return new GuestError(
    kind,
    `image ${JSON.stringify(reference.slice(0, 256))} cannot be pulled: ${why}`,
    cause === undefined ? {} : { cause },
  );
}

/** Converts an error of a pull; another one is returned as it is. */
function imageFailure(reference: string, error: unknown): unknown {
  const failed = (kind: GuestErrorKind, code: string, why: string): GuestError =>
    pullFailure(kind, reference, `${why} (${code})`, error);
  if (error instanceof ImageError)
    return failed(
      imageKinds[error.code] ?? 'precondition',
      error.code,
      `${error.message}; help: ${error.remedy}`,
    );
  if (error instanceof LayerError)
    return failed(layerKinds[error.code] ?? 'refused', error.code, error.message.replaceAll('\n', '; '));
  return error;
}

/** The end of the time for an image, which begins with its request (`image_pull_timeout`). */
class PullDeadline {
  readonly #failure: GuestError;
  readonly #end: number;
  readonly #late = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(reference: string, milliseconds: number) {
    this.#failure = pullFailure(
      'deadline',
      reference,
      `it took more than ${milliseconds / 1000} s (image_pull_timeout)`,
    );
    this.#end = performance.now() + milliseconds;
    this.#timer = setTimeout(() => this.#late.abort(this.#failure), milliseconds);
  }

  /** Aborts at the end, with a GuestError `deadline`. */
  get signal(): AbortSignal {
    return this.#late.signal;
  }

  /** Returns the milliseconds that are left. @throws GuestError `deadline` */
  left(): number {
    const left = this.#end - performance.now();
    if (left <= 0) throw this.#failure;
    return left;
  }

  /** Stops the timer. */
  clear(): void {
    clearTimeout(this.#timer);
  }
}

/** Pulls a few images at once. Further pulls wait in the order of their calls, up to a number. */
export class PullQueue {
  readonly #limits: PullQueueLimits;
  readonly #pulls: Semaphore;

  constructor(limits: PullQueueLimits = limitsByDefault) {
    this.#limits = limits;
    this.#pulls = new Semaphore(limits.atOnce);
  }

  /**
   * Runs `work` when its turn has come. Rejects with the signal's reason if that aborts before, and with `refusal` if too many
   * wait.
   */
  async run<T>(
    work: () => Promise<T>,
    {
      signal,
      refusal,
    }: { readonly signal: AbortSignal; readonly refusal: (limits: PullQueueLimits) => Error },
  ): Promise<T> {
    if (this.#pulls.isFull && this.#pulls.waiting >= this.#limits.waiting) throw refusal(this.#limits);
    return await this.#pulls.run(work, { signal });
  }

  /** Runs further work for a pull that had its turn, before those that wait for theirs: its image is in memory. */
  async resume<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return await this.#pulls.run(work, { signal, isFirst: true });
  }
}
