import type { AuditRecord } from '@kata-agent/audit';
import { formatPin } from '@kata-agent/x509';
import type { LogNote } from './log-note.js';

/** What is known of a guest before a record of a boot. */
interface KnownGuest {
  readonly id: string;
  /** The sequence number of the boot that made its key; undefined: its record has not arrived. */
  readonly ownBoot: number | undefined;
  /** The log key that its evidence binds; undefined: it is not attested. */
  readonly attestedKey: string | undefined;
}

/** Returns what a record of a boot says about the log. A guest's key is made at boot, and its log names it: no further boot can follow. */
export function notesOfBoot(
  { sequence, facts, logKey }: Extract<AuditRecord, { kind: 'boot' }>,
  { id, ownBoot, attestedKey }: KnownGuest,
): readonly LogNote[] {
  const secondLog = (what: string): LogNote => ({ kind: 'second-log', sequence, what });
  if (ownBoot !== undefined)
    return sequence > ownBoot
      ? [
          secondLog(
            `record ${sequence} is of a second boot: the guest's key was made at the boot of record ${ownBoot}`,
          ),
        ]
      : [];
  const { pin } = (facts['tls'] ?? {}) as { readonly pin?: unknown };
  if (pin !== formatPin(id)) return [];
  const { heartbeatMs } = facts;
  const heartbeat = typeof heartbeatMs === 'number' && heartbeatMs > 0 ? { heartbeatMs } : {};
  const own: LogNote = { kind: 'own-boot', sequence, ...heartbeat };
  return attestedKey === undefined || logKey === attestedKey
    ? [own]
    : [
        secondLog(
          `record ${sequence} names the log key ${logKey ?? 'none'}, and the guest's evidence ${attestedKey}`,
        ),
        own,
      ];
}
