import type { DeliveryRead } from '../delivery.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';

/** The source has no document. */
export const nothing: DeliveryRead = { ok: true, documents: [] };

/** The source's document cannot be used. */
export function undelivered(code: Diagnostic['code'], message: string, help: string): DeliveryRead {
  return { ok: false, diagnostics: [{ severity: 'error', code, message, help }] };
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Reports whether an error means that the file or device does not exist. */
export function isAbsent(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENXIO';
}
