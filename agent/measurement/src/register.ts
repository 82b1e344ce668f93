import type { Banks } from './algorithm.js';

/** A register that can only be extended until the machine restarts. */
export interface Register {
  /** `PCR 23`, `RTMR 3`. */
  readonly name: string;
  /** The event log it belongs to. */
  readonly kind: 'tpm' | 'rtmr';
  /** Its number in the event log. */
  readonly index: number;
  /** Returns the values of all banks. Throws a MeasurementError. */
  read(): Promise<Banks>;
  /** Extends each bank by its digest. Throws a MeasurementError. */
  extend(digests: Banks): Promise<void>;
}
