import type { DeliveryRead } from '../configuration.js';

/** Nothing came this way. */
export const nothing: DeliveryRead = { ok: true, documents: [] };

/** What came this way cannot be used. */
export function undelivered(message: string, help: string): DeliveryRead {
  return { ok: false, diagnostics: [{ severity: 'error', message, help }] };
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whether a failed call says that there is no such file or device. */
export function isAbsent(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENXIO';
}
