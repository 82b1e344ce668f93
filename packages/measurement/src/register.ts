import type { Banks } from './algorithm.js';

/** A register that can only be extended, until the machine starts again. */
export interface Register {
  /** `PCR 23`, `RTMR 3`. */
  readonly name: string;
  /** Which event log it belongs to. */
  readonly kind: 'tpm' | 'rtmr';
  /** Its number in an event log. */
  readonly index: number;
  /** The values of all its banks. Throws a MeasurementError. */
  read(): Promise<Banks>;
  /** Extends all its banks, each by its digest. Throws a MeasurementError. */
  extend(digests: Banks): Promise<void>;
}
