/** Notices that nothing is heard for a time, by the monotonic clock. */
export class Silence {
  readonly #limitMs: number;
  readonly #onChange: (isSilent: boolean) => void;
  #timer: NodeJS.Timeout;
  #isSilent = false;

  constructor(limitMs: number, onChange: (isSilent: boolean) => void) {
    this.#limitMs = limitMs;
    this.#onChange = onChange;
    this.#timer = this.#start();
  }

  heard(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#start();
    if (this.#isSilent) this.#change(false);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #start(): NodeJS.Timeout {
    return setTimeout(() => this.#change(true), this.#limitMs);
  }

  #change(isSilent: boolean): void {
    this.#isSilent = isSilent;
    this.#onChange(isSilent);
  }
}
