import { EvidenceFormError } from '../evidence-error.js';
import { formOf } from '../form.js';
import { eventType, type LoggedEvent } from './logged-event.js';

/**
 * A record of CEL-JSON (TCG Canonical Event Log Format): the form of tpm2-tss, and of systemd's tpm2-measure.log, which has no
 * `recnum` and another content type.
 */
export interface CelRecord {
  readonly recnum: number;
  readonly pcr: number;
  readonly digests: readonly { readonly hashAlg: string; readonly digest: string }[];
  readonly content_type: 'pcclient_std';
  readonly content: { readonly event_type: 'EV_EVENT_TAG'; readonly event_data: string };
}

/** Encodes events of the agent. Throws a TypeError for another type than EV_EVENT_TAG. */
export function celRecords(events: readonly LoggedEvent[]): readonly CelRecord[] {
  return events.map(({ register, digests, type, data }, recnum) => {
    if (type !== eventType.eventTag) throw new TypeError(`an event of type ${type} is not one of the agent`);
    return {
      recnum,
      pcr: register,
      digests: Object.entries(digests).map(([hashAlg, digest]) => ({ hashAlg, digest })),
      content_type: 'pcclient_std',
      content: { event_type: 'EV_EVENT_TAG', event_data: Buffer.from(data).toString('hex') },
    };
  });
}

/** Parses records of the agent, which are numbered from 0. Throws an EvidenceFormError. */
export function parseCelRecords(records: readonly unknown[], name: string): readonly LoggedEvent[] {
  return records.map((record, index) => {
    const where = `${name}, record ${index}`;
    const form = formOf(record, where);
    form.integer('recnum', index, index);
    form.oneOf('content_type', ['pcclient_std']);
    const content = formOf(form.get('content'), `${where}, content`);
    content.oneOf('event_type', ['EV_EVENT_TAG']);
    const data = content.hex('event_data');
    content.end();
    const register = form.integer('pcr', 0, 23);
    const digests = form.array('digests').map((digest): readonly [string, string] => {
      const one = formOf(digest, `${where}, digests`);
      const entry = [one.string('hashAlg'), one.hex('digest')] as const;
      one.end();
      return entry;
    });
    form.end();
    if (new Set(digests.map(([bank]) => bank)).size !== digests.length)
      throw new EvidenceFormError(`${where}: two digests of one algorithm`);
    return {
      register,
      digests: Object.fromEntries(digests),
      type: eventType.eventTag,
      data: new Uint8Array(Buffer.from(data, 'hex')),
    };
  });
}
