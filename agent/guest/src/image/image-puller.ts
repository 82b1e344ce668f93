/** What an image declares of its process (OCI image configuration, `config`). */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: readonly string[];
  /** As in the image: `user`, `uid:gid`; may be empty. */
  readonly user: string;
  /** May be empty. */
  readonly workingDir: string;
  readonly volumes: readonly string[];
  readonly stopSignal: string;
}

/** An image that the guest pulled. What the puller did not verify is undefined. */
export interface PulledImage {
  /** As the request names it. */
  readonly reference: string;
  /** Digest of what the reference names, an index or a manifest: `sha256:` and 64 hex digits. */
  readonly digest: string | undefined;
  /** Digest of this platform's manifest. */
  readonly manifestDigest: string | undefined;
  readonly config: ImageConfig | undefined;
  /** The signatures that the puller verified, for records: key, format, what is signed. */
  readonly signatures?: readonly string[];
}

export interface PullRequest {
  readonly reference: string;
  /** An empty directory of the agent. The puller mounts the root of the image at `rootfs` in it. */
  readonly directory: string;
  /** For messages. */
  readonly container: string;
  /** Aborted when the container is removed, or its call is cancelled. */
  readonly signal: AbortSignal;
}

/** A root that was pulled. */
export type PackRequest = Omit<PullRequest, 'container'>;

/** `required`: no image is pulled without the disk. `if-attached`: the first container that brings one has it mounted, as with Kata's agent. */
export type SharedStoreUse = 'required' | 'if-attached';

/**
 * Pulls images inside the guest. Rejects with a GuestError; then nothing is mounted, and the caller removes the directory.
 */
export interface ImagePuller {
  pull(request: PullRequest): Promise<PulledImage>;
  /**
   * Makes an EROFS image of the root at `rootfs`, and unmounts that. Returns the path of the image, which is in a tmpfs that it mounts
   * at `packed` in the directory; the caller unmounts that, also after a failure. Absent: roots stay in memory.
   */
  readonly pack?: ((request: PackRequest) => Promise<string>) | undefined;
  /** One disk for all images, which the guest mounts before the pull (store/shared-store.ts). Absent: there is none. */
  readonly sharedStore?: SharedStoreUse | undefined;
}
