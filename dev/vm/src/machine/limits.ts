// Time limits: every wait for a machine has one.

/** Time limits in seconds. */
export interface Limits {
  /** Without output on the console during a wait. */
  readonly silence: number;
  /** From power-on until the guest is ready. */
  readonly up: number;
  /** For a line on the console, or for the guest to power off. */
  readonly wait: number;
  /** For QEMU's response to a command. */
  readonly answer: number;
  /** For the guest's kernel to release a device. */
  readonly unplug: number;
  /** From a kernel panic to the end of the machine. */
  readonly panic: number;
}

/**
 * The default limits. A boot under TCG takes about 10 s on an idle machine, and a minute if each processor runs
 * ten of them. All limits are below the 20 minutes after which `npm test` ends a test
 * (dev/repository/src/tests/main.ts), so that the test fails with the reason.
 */
export const defaultLimits: Limits = {
  silence: 600,
  up: 1080,
  wait: 1080,
  answer: 120,
  unplug: 300,
  panic: 120,
};
