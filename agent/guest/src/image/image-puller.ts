import type { PulledImage } from '../request/actions.js';

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
