import type { AuditSettings } from '../configuration.js';
import { boolean } from '../value-types/boolean.js';
import { integer } from '../value-types/integer.js';
import { oneOf } from '../value-types/one-of.js';
import { size } from '../value-types/size.js';
import { path } from '../value-types/text.js';
import type { Setting } from './setting.js';

const common = {
  section: 'audit',
  opensGuest: false,
  override: undefined,
  built: 'yes',
  merge: 'base only',
} as const;

/** The rows of `[audit]`. */
export const auditSettings: { readonly [P in keyof AuditSettings]: Setting<AuditSettings[P]> } = {
  file: {
    ...common,
    key: 'file',
    type: path,
    default: '/run/kata-agent/audit.log',
    purpose: 'Where the record of decisions is kept.',
    example: '"/run/kata-agent/audit.log"',
  },
  onFailure: {
    ...common,
    key: 'on_failure',
    type: oneOf(['refuse-changes', 'refuse-all']),
    default: 'refuse-changes',
    purpose:
      'Which calls are refused while the record cannot be written: those that change something, or all. On a full disk, SignalProcess, RemoveContainer and DestroySandbox are still recorded and carried out.',
    example: '"refuse-all"',
  },
  maxSize: {
    ...common,
    key: 'max_size',
    type: size({ min: 64 * 1024, max: 2 ** 34 }),
    default: 16 * 1024 * 1024,
    purpose: 'The size at which a segment of the record is closed.',
    example: '"16MiB"',
  },
  keep: {
    ...common,
    key: 'keep',
    type: integer({ min: 1, max: 1000, what: 'a number of segments' }),
    default: 4,
    purpose:
      'How many closed segments are kept. Of older ones stay the counts, and in FILE.kept the records of boots, creates, execs, policies and refusals: a quarter of max_size, 64 KiB at least, and what made the containers and execs that are there.',
    example: '4',
  },
  facts: {
    ...common,
    key: 'facts',
    type: boolean,
    default: false,
    purpose:
      'Whether facts of requests are recorded as well, to learn a configuration from: names and kinds, and all arguments of programs, which may hold secrets.',
    example: 'true',
  },
};
