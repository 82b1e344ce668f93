import type { AttachedDevice, PulledImage } from '../request/actions.js';

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

/** A container whose image is about to be pulled. */
export interface StoreRequest {
  /** The disk that the container brings; undefined: none. */
  readonly scratch: AttachedDevice | undefined;
  readonly container: string;
  readonly signal: AbortSignal;
}

/** Where the images of all containers are. */
export interface ImageStore {
  /**
   * Mounts the store, unless it is mounted. Calls wait for each other.
   *
   * @throws GuestError `precondition`: it is not mounted, and the container has no disk, or the data hub fails; `refused`: the container
   *   brings another disk than that of the store, or one that is in use
   */
  prepare(request: StoreRequest): Promise<void>;
  /** Warns if the data hub has pulled an image and stored nothing: its own configuration names the directory. */
  warnIfUnused(container: string): Promise<void>;
}
