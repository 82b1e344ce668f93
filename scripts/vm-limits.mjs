// How long a machine is waited for: no wait for a guest is without an end.

/**
 * Seconds. A boot under TCG takes about 10 on a machine that does little else, and a minute where ten others want each
 * processor; a test counts as one that hangs after 20 minutes (scripts/test.mjs), so its reason has to come before.
 * `silence`: without a line on the console while something is waited for. `up`: from power-on until the guest is ready.
 * `wait`: for one line of the console, or for the guest to power off. `answer`: of QEMU to a command. `unplug`: of the guest's
 * kernel, when a device is taken out. `panic`: from a kernel's panic to the end of the machine.
 */
export const defaultLimits = { silence: 600, up: 1080, wait: 1080, answer: 120, unplug: 300, panic: 120 };

/** Calls `giveUp` once, with the reason, when nothing was heard for `silence` seconds, or when `limit` seconds are over. */
export class Patience {
  #silence;
  #limit;
  #giveUp;

  constructor({ silence, limit }, giveUp) {
    this.#giveUp = giveUp;
    this.#silence = setTimeout(
      () => this.#end(`its console has said nothing for ${silence} s`),
      silence * 1000,
    );
    this.#limit = setTimeout(() => this.#end(`${limit} s are over`), limit * 1000);
  }

  /** Progress: the silence begins anew. */
  heard() {
    if (this.#giveUp !== undefined) this.#silence.refresh();
  }

  stop() {
    this.#giveUp = undefined;
    clearTimeout(this.#silence);
    clearTimeout(this.#limit);
  }

  #end(reason) {
    const giveUp = this.#giveUp;
    this.stop();
    giveUp?.(reason);
  }
}
