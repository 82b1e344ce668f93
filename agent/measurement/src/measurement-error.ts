/** A register or a hardware report is missing or failed. The message says how to fix it. */
export class MeasurementError extends Error {
  override readonly name = 'MeasurementError';
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
