import type { SectionName } from './configuration.js';
import type { EntryKeyRow } from './document/entry-key.js';
import { listenerKeys } from './listener/listener-keys.js';
import { ruleKeys } from './rule/rule-keys.js';
import { secretKeys } from './secret/secret-keys.js';
import type { SettingRow } from './settings/setting.js';
import { settings } from './settings/settings.js';
import { witnessKeys } from './witness/witness-keys.js';

/** A section of a document. */
export interface DocumentSection {
  /** As in its header: `agent`, `api.rule`. */
  readonly name: string;
  /** Whether there is one table for each entry: `[[api.rule]]`. */
  readonly list: boolean;
  readonly purpose: string;
  readonly rows: readonly (SettingRow | EntryKeyRow)[];
}

/** All sections, in the order of the reference page. */
export const documentSections: readonly DocumentSection[] = [
  section('agent', 'The agent itself. Only these keys can be overridden.'),
  section('api', 'Which methods are served.'),
  entries('api.rule', 'One table per rule.', Object.values(ruleKeys)),
  entries(
    'listener',
    'One table per address on which the API is served, in place of `server_addr`. A method is served on a listener if both `[api]` and the listener allow it; one of the two must have a list. Further documents can narrow a listener by its name, and cannot add one. The first listener is that of the runtime: side channels have its address and peers.',
    Object.values(listenerKeys),
  ),
  entries(
    'secret',
    'One table per place where a sealed secret is unsealed. With a configuration, text that begins with `sealed.` stays text everywhere else. A place can have several tables: one of them must fit.',
    Object.values(secretKeys),
  ),
  section(
    'delivery',
    'The delivery of further documents. Without this section there are none. Each of them can only narrow the documents before it.',
  ),
  section(
    'measurement',
    'Registers that are extended with the digest of the configuration, before the agent listens.',
  ),
  section('image', 'Images that the guest gets itself, so that the host cannot change them.'),
  section('evidence', 'What signs the claims of the agent for `Attest`. Without it there is no evidence.'),
  section('audit', 'The audit log.'),
  entries(
    'audit.witness',
    'One table per witness, which cosigns the checkpoints of the audit log. They stand below the keys of `[audit]`.',
    Object.values(witnessKeys),
  ),
  section('limits', 'Limits for requests.'),
];

function section(name: SectionName, purpose: string): DocumentSection {
  return { name, list: false, purpose, rows: settings.filter((row) => row.section === name) };
}

function entries(name: string, purpose: string, rows: readonly EntryKeyRow[]): DocumentSection {
  return { name, list: true, purpose, rows };
}
