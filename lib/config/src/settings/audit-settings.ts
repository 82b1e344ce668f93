import type { AuditSettings } from '../configuration.js';
import { boolean, integer, oneOf } from '../value-types/scalars.js';
import { duration, requiredWithin, size } from '../value-types/quantities.js';
import { path } from '../value-types/text.js';
import type { Setting } from './setting.js';

const common = {
  section: 'audit',
  opensGuest: false,
  override: undefined,
  built: 'yes',
  merge: 'base only',
} as const;

/** What `heartbeat` can be: also for readers of an agent's heartbeat. */
export const heartbeatBounds = { minMs: 1_000, maxMs: 3_600_000 } as const;

/** The rows of `[audit]`. */
export const auditSettings: { readonly [P in keyof AuditSettings]: Setting<AuditSettings[P]> } = {
  file: {
    ...common,
    key: 'file',
    type: path,
    default: '/run/kata-agent/audit.log',
    purpose: 'The path of the audit log.',
    example: '"/run/kata-agent/audit.log"',
  },
  onFailure: {
    ...common,
    key: 'on_failure',
    type: oneOf(['refuse-changes', 'refuse-all']),
    default: 'refuse-changes',
    purpose:
      'The calls that are denied while the audit log cannot be written: those that change something, or all. On a full disk, SignalProcess, RemoveContainer and DestroySandbox are still recorded and executed.',
    example: '"refuse-all"',
  },
  maxSize: {
    ...common,
    key: 'max_size',
    type: size({ min: 64 * 1024, max: 2 ** 34 }),
    default: 16 * 1024 * 1024,
    purpose: 'The size at which a segment of the audit log is closed.',
    example: '"16MiB"',
  },
  keep: {
    ...common,
    key: 'keep',
    type: integer({ min: 1, max: 1000, what: 'a number of segments' }),
    default: 4,
    purpose:
      'The number of closed segments to keep. Of older segments the counts are kept, and in FILE.kept the records of boots, creates, execs, policies and denials: up to a quarter of max_size (at least 64 KiB), and in addition those of existing containers and execs.',
    example: '4',
  },
  facts: {
    ...common,
    key: 'facts',
    type: boolean,
    default: false,
    purpose:
      'Whether facts of requests are recorded too, for config learn: names and kinds, and all arguments of programs, which may contain secrets.',
    example: 'true',
  },
  checkpointEveryMs: {
    ...common,
    key: 'checkpoint_every',
    type: duration({ minMs: 1_000, maxMs: 3_600_000 }),
    default: 10_000,
    purpose:
      'How often a signed checkpoint of the log is written to FILE.checkpoint, if there are new records. After 1,000 records it is written earlier.',
    example: '"10s"',
  },
  heartbeatMs: {
    ...common,
    key: 'heartbeat',
    type: duration(heartbeatBounds),
    default: 60_000,
    purpose:
      'After this time without a record, one is written: so a log that ends is told from an agent with nothing to do.',
    example: '"60s"',
  },
  witnessQuorum: {
    ...common,
    key: 'witness_quorum',
    type: integer({ min: 1, max: 16, what: 'a number of witnesses' }),
    default: 1,
    purpose:
      'How many of the witnesses must have cosigned a checkpoint for required_within, and for FILE.cosigned.',
    example: '1',
  },
  requiredWithin: {
    ...common,
    key: 'required_within',
    type: requiredWithin,
    default: 'off',
    purpose:
      'Once a record is older than this, and the quorum has cosigned no checkpoint with it, calls that change something are refused where the host calls: on the first listener, and on all at vsock:// and unix://. SignalProcess, RemoveContainer and DestroySandbox are served, and everything again when the quorum is back.',
    example: '"30s"',
  },
};
