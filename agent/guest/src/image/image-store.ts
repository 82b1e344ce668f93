import type { AttachedDevice } from '../request/actions.js';

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
