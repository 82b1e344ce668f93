/** A register, or a report of the hardware, cannot be had or did not do what it must. The message says what mends it. */
export class MeasurementError extends Error {
  override readonly name = 'MeasurementError';
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
