import type { AuditLog } from '@kata-agent/audit';
import type { RefusalCode } from '@kata-agent/catalogue/codes';

/**
 * Records a connection that is closed before a call is read: the record names no method. Refusals with the same `reason`
 * are folded; detail that differs between them follows ': '.
 */
export function recordConnectionRefusal(
  audit: Pick<AuditLog, 'refuse'>,
  { listener, peer }: { readonly listener: string; readonly peer: string },
  code: RefusalCode,
  reason: string,
): void {
  const method = '(connection)';
  audit.refuse(
    { listener, peer, method, payload: new Uint8Array() },
    { outcome: 'deny', code, method, listener, reason },
  );
}
