import type { SettingRow } from '@kata-agent/config';
import {
  type Direction,
  entries,
  guestOpening,
  larger,
  neutral,
  ordered,
  release,
  unknown,
} from './setting-direction.js';

const measured = ordered(
  ['require', 'try', 'off'],
  'the agent serves with less of its configuration measured',
  'more of the configuration is measured before the agent serves',
);

/**
 * Which way a change of a setting goes, where the settings table does not say it by its columns. `told elsewhere`:
 * its effect is worked out from the whole configuration.
 */
const table: Readonly<Record<string, Direction | 'told elsewhere'>> = {
  'agent.server_addr': 'told elsewhere',
  'agent.lock': 'told elsewhere',
  'agent.overridable': 'told elsewhere',
  // Under a document, the default refuses.
  'agent.privileged_containers': ordered(
    ['refuse', undefined, 'allow'],
    'a privileged container is root of the guest',
    'privileged containers are refused',
  ),
  'agent.devices': entries,
  'agent.guest_paths': entries,
  'agent.kernel_modules': entries,
  'agent.sysctls': entries,
  'agent.harden': ordered(
    [true, undefined, false],
    "the guest's kernel stays open to whoever is root in it",
    "the guest's kernel is hardened",
  ),
  'agent.secure_storage_integrity': ordered(
    [true, false],
    'encrypted storage can be changed unnoticed',
    'changes of encrypted storage are noticed',
  ),
  'agent.guest_components_procs': ordered(
    ['none', 'attestation-agent', 'confidential-data-hub', 'api-server-rest'],
    'more guest components are started',
    'fewer guest components are started',
  ),
  'api.release': release,
  'api.allowed_endpoints': 'told elsewhere',
  'api.blocked_endpoints': 'told elsewhere',
  'api.strict': neutral('how lists that make no sense are taken'),
  'api.on_denied_read': neutral('how a refused reader is answered'),
  'api.denied_output': neutral('what becomes of output that nobody may read'),
  'delivery.accept': 'told elsewhere',
  'delivery.bind': 'told elsewhere',
  'delivery.required': 'told elsewhere',
  'delivery.drop_in_dir': 'told elsewhere',
  'measurement.tpm': measured,
  'measurement.pcr': neutral('verifiers have to look at another register'),
  'measurement.rtmr': measured,
  'audit.file': neutral('where the record is kept'),
  'audit.on_failure': ordered(
    ['refuse-all', 'refuse-changes'],
    'calls that change nothing are served also while they cannot be recorded',
    'no call is served while it cannot be recorded',
  ),
  'audit.max_size': neutral('how much of the record is kept'),
  'audit.keep': neutral('how much of the record is kept'),
  'audit.facts': neutral('how much is recorded of a request'),
};

/** The direction of a row; `undefined`: it is told elsewhere. A row that nothing is known of counts as opening. */
export function directionOf(row: SettingRow): Direction | undefined {
  const direction = table[`${row.section}.${row.key}`];
  if (direction === 'told elsewhere') return undefined;
  if (direction !== undefined) return direction;
  if (row.opensGuest) return guestOpening(row);
  if (row.merge === 'minimum') return larger;
  return row.section === 'agent' ? neutral('it does not open the guest') : unknown;
}
