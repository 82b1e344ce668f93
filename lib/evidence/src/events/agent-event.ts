// What the agent extends into a register: entries of the Confidential Containers event log, `DOMAIN OPERATION CONTENT` with
// canonical JSON as content, as the data of an EV_EVENT_TAG event. The first, the configuration, is made by
// lib/config/src/delivery/measured-event.ts.

import { canonicalJson, parseCanonicalJson } from '../claims.js';
import { EvidenceFormError } from '../evidence-error.js';
import { formOf } from '../form.js';

const domain = 'urn:kata-agent';

/** "AAEL". */
const tag = 0x4141454c;

/** The keys of one start of the agent. */
export interface AgentKeys {
  /** As in the claims. */
  readonly tlsSpki: string;
  readonly logKey: string;
}

export type AgentEvent =
  | { readonly kind: 'configuration'; readonly digest: string }
  | ({ readonly kind: 'keys' } & AgentKeys)
  /** No event after it is believed: containers can have run since. */
  | { readonly kind: 'separator'; readonly bootId: string }
  | { readonly kind: 'unknown' };

/** Encodes the event of the agent's keys. */
export function keysEvent({ tlsSpki, logKey }: AgentKeys): Uint8Array {
  return event('Keys', canonicalJson({ log_key: logKey, tls_spki: tlsSpki }));
}

/** Encodes the event after which no event of this boot is believed. */
export function separatorEvent(bootId: string): Uint8Array {
  return event('Separator', canonicalJson({ boot_id: bootId }));
}

/** Parses the data of an event. Data of another program is `unknown`. */
export function parseAgentEvent(data: Uint8Array): AgentEvent {
  const bytes = Buffer.from(data);
  if (bytes.length < 8 || bytes.readUInt32LE(0) !== tag || bytes.readUInt32LE(4) !== bytes.length - 8)
    return { kind: 'unknown' };
  const entry = /^urn:kata-agent (Configuration|Keys|Separator) (.*)$/s.exec(bytes.subarray(8).toString());
  if (entry === null) return { kind: 'unknown' };
  const [, operation, content = ''] = entry;
  try {
    const form = formOf(parseCanonicalJson(Buffer.from(content), 'event'), 'event');
    if (operation === 'Separator') {
      const bootId = form.string('boot_id');
      form.end();
      return { kind: 'separator', bootId };
    }
    if (operation === 'Configuration') return { kind: 'configuration', digest: form.string('digest') };
    const keys = { tlsSpki: form.string('tls_spki'), logKey: form.string('log_key') };
    form.end();
    return { kind: 'keys', ...keys };
  } catch (error) {
    if (error instanceof EvidenceFormError) return { kind: 'unknown' };
    throw error;
  }
}

function event(operation: string, content: Uint8Array): Uint8Array {
  const entry = Buffer.concat([Buffer.from(`${domain} ${operation} `), content]);
  const header = Buffer.alloc(8);
  header.writeUInt32LE(tag, 0);
  header.writeUInt32LE(entry.length, 4);
  return new Uint8Array(Buffer.concat([header, entry]));
}
