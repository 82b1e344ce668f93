import type { GuestError } from '@kata-agent/guest';
import { pullFailure } from './image-failure.js';

/** The end of the time for an image, which begins with its request (`image_pull_timeout`). */
export class PullDeadline {
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
