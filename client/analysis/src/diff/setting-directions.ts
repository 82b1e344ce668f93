import type { SettingRow, SettingValue } from '@kata-agent/config';
import {
  type Direction,
  earlier,
  entries,
  guestOpening,
  hostNames,
  keptFromHost,
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
 * The direction of a setting if the columns of the settings table do not define it. `derived elsewhere`: the effect is
 * derived from the whole configuration.
 */
const table: Readonly<Record<string, Direction | 'derived elsewhere'>> = {
  'agent.server_addr': 'derived elsewhere',
  'agent.lock': 'derived elsewhere',
  'agent.overridable': 'derived elsewhere',
  // With a document, the default is to refuse.
  'agent.privileged_containers': ordered(
    ['refuse', undefined, 'allow'],
    'a privileged container has root access to the guest',
    'privileged containers are denied',
  ),
  'agent.hooks': ordered(
    ['refuse', 'cdi', 'allow'],
    'programs run in the guest as OCI hooks',
    'fewer programs run in the guest as OCI hooks',
  ),
  'agent.devices': entries,
  'agent.guest_paths': entries,
  'agent.network_namespaces': entries,
  'agent.capabilities': entries,
  'agent.share_processes': ordered(
    [false, true],
    'containers see the processes and files of the others in the pod',
    'each container sees its own processes alone',
  ),
  'agent.user_namespaces': ordered(
    [false, true],
    'users of containers are other users of the guest than those that rules see',
    'users of containers are those that rules see',
  ),
  'agent.kernel_modules': entries,
  'agent.sysctls': entries,
  'agent.host_aliases': hostNames,
  'agent.nosymfollow': keptFromHost(
    'links of the host are followed in',
    'no link is followed in more mounts',
  ),
  'agent.image_volumes': keptFromHost('the host fills', 'the guest fills more volumes of images'),
  'agent.extensions': entries,
  'agent.harden': ordered(
    [true, undefined, false],
    "root in the guest can change the guest's kernel",
    "the guest's kernel is hardened",
  ),
  'agent.clock_floor': earlier(
    "the host can set the guest's clock to an earlier time",
    "the guest's clock has a later minimum",
  ),
  'agent.secure_storage_integrity': ordered(
    [true, false],
    'changes of encrypted storage are not detected',
    'changes of encrypted storage are detected',
  ),
  'agent.guest_components_procs': ordered(
    ['none', 'attestation-agent', 'confidential-data-hub', 'api-server-rest'],
    'more guest components are started',
    'fewer guest components are started',
  ),
  'api.release': release,
  'api.allowed_endpoints': 'derived elsewhere',
  'api.blocked_endpoints': 'derived elsewhere',
  'api.strict': neutral('whether inconsistent lists are errors'),
  'api.on_denied_read': neutral('the answer to a denied read'),
  'api.denied_output': neutral('what happens to output without a permitted reader'),
  'delivery.accept': 'derived elsewhere',
  'delivery.bind': 'derived elsewhere',
  'delivery.required': 'derived elsewhere',
  'delivery.drop_in_dir': 'derived elsewhere',
  'delivery.unused_initdata': ordered(
    ['refuse', 'record'],
    'the agent starts with initdata of which it ignores a part',
    'initdata that the agent cannot apply stops its start',
  ),
  'delivery.may_set': 'derived elsewhere',
  'measurement.tpm': measured,
  'measurement.pcr': neutral('verifiers must check another register'),
  'measurement.checkpoint_pcr': neutral('verifiers find checkpoints of the audit log in another register'),
  'measurement.rtmr': measured,
  'image.puller': neutral('who pulls the images'),
  'evidence.sources': neutral('verifiers get other evidence'),
  'evidence.ak_certificate': neutral('verifiers get other certificates of the attestation key'),
  'evidence.require': neutral('the agent starts without other sources of evidence'),
  'image.registries': 'derived elsewhere',
  'image.registry_ca': neutral('which CAs registries are verified with'),
  'image.credentials': neutral('where the credentials of registries come from'),
  'image.insecure_static_credentials': ordered(
    [false, true],
    'each reader of the guest image has the credentials of registries',
    'credentials of registries are in no file',
  ),
  'image.token_hosts': opens('other hosts get the credentials of registries'),
  'image.mirrors': neutral('where images are read; a digest is verified'),
  'image.proxy': neutral('what registries are reached through; TLS is end to end'),
  'image.require_digest': ordered(
    [true, false],
    'the registry chooses what a tag names',
    'an image needs a digest',
  ),
  'image.signatures': 'derived elsewhere',
  'image.max_size': larger,
  'image.decryption_keys': neutral('where the keys of encrypted layers come from'),
  'image.store': ordered(
    ['memory', 'encrypted-disk'],
    'the host has images as ciphertext: it sees sizes and which blocks are read, can destroy them, and of those of the data hub return earlier states',
    'images are in the memory of the guest only',
  ),
  'image.layers': ordered(
    ['verified', 'pulled'],
    'the host can provide roots that are not verified',
    'each root consists of verified layers, which rules pin',
  ),
  'audit.file': neutral('where the audit log is stored'),
  'audit.on_failure': ordered(
    ['refuse-all', 'refuse-changes'],
    'calls that change nothing are served even if they cannot be recorded',
    'no call is served if it cannot be recorded',
  ),
  'audit.max_size': neutral('how much of the audit log is retained'),
  'audit.keep': neutral('how much of the audit log is retained'),
  'audit.facts': neutral('how much of a request is recorded'),
  'audit.checkpoint_every': neutral('how often a checkpoint is written'),
  'audit.heartbeat': neutral('how often a silent log has a record'),
  'audit.witness_quorum': (before, after) =>
    Number(after) < Number(before)
      ? { effect: 'opens', why: 'fewer witnesses must have cosigned a checkpoint' }
      : { effect: 'closes', why: 'more witnesses must have cosigned a checkpoint' },
  'audit.required_within': (before, after) =>
    withinMs(after) > withinMs(before)
      ? { effect: 'opens', why: 'the host can call longer without a witness of what it does' }
      : { effect: 'closes', why: 'the host can call less long without a witness of what it does' },
};

/** A change whose effect is not compared counts as opening. */
function opens(why: string): Direction {
  return () => ({ effect: 'opens', why });
}

/** Undefined is "off": calls are never refused. */
function withinMs(value: SettingValue): number {
  return typeof value === 'number' ? value : Number.POSITIVE_INFINITY;
}

/**
 * Returns the direction of a row; undefined if another function derives its effect. A row without known direction
 * counts as opening.
 */
export function directionOf(row: SettingRow): Direction | undefined {
  const direction = table[`${row.section}.${row.key}`];
  if (direction === 'derived elsewhere') return undefined;
  if (direction !== undefined) return direction;
  if (row.opensGuest) return guestOpening(row);
  if (row.merge === 'minimum') return larger;
  return row.section === 'agent' ? neutral('it does not open the guest') : unknown;
}
