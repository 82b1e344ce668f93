import { createHash } from 'node:crypto';
import { ByteReader } from '../byte-reader.js';
import { EvidenceFormError } from '../evidence-error.js';
import { formOf } from '../form.js';

/** TCG PC Client Platform Firmware Profile, 10.4.1. */
export const eventType = { noAction: 3, eventTag: 6 } as const;

/** Names of TPM_ALG_ID, as in `agent/measurement`. Others are skipped by the length that the log's head says. */
const names: Readonly<Record<number, string>> = { 4: 'sha1', 11: 'sha256', 12: 'sha384', 13: 'sha512' };

const spec = Buffer.from('Spec ID Event03\0', 'latin1');

/**
 * Parses a crypto-agile event log (TCG PC Client Platform Firmware Profile, 10.2): the firmware's, in
 * /sys/kernel/security/tpm0/binary_bios_measurements, and those that the agent keeps. Throws an EvidenceFormError.
 */
export function parseTcgLog(bytes: Uint8Array, name: string): readonly LoggedEvent[] {
  const reader = new ByteReader(bytes, name);
  // The head has the old form: register, type and a SHA-1.
  reader.take(4 + 4 + 20, 'the head');
  const lengths = readHead(takeSized(reader, 'the head'), name);
  const events: LoggedEvent[] = [];
  while (reader.left > 0) {
    const register = reader.u32('a register');
    const type = reader.u32('a type');
    const digests: Record<string, string> = {};
    for (let count = reader.u32('a number of digests'); count > 0; count -= 1) {
      const id = reader.u16('an algorithm');
      const length = lengths.get(id);
      if (length === undefined)
        throw new EvidenceFormError(
          `${name}: an event has a digest of algorithm ${id}, which the head does not name`,
        );
      const digest = Buffer.from(reader.take(length, 'a digest')).toString('hex');
      const bank = names[id];
      if (bank !== undefined) digests[bank] = digest;
    }
    events.push({ register, type, digests, data: new Uint8Array(takeSized(reader, 'an event')) });
  }
  return events;
}

/** Takes bytes whose number stands before them. */
function takeSized(reader: ByteReader, field: string): Uint8Array {
  return reader.take(reader.u32(field), field);
}

/** Returns the length of a digest of each algorithm. */
function readHead(data: Uint8Array, name: string): ReadonlyMap<number, number> {
  if (!spec.equals(data.subarray(0, spec.length)))
    throw new EvidenceFormError(`${name}: not a crypto-agile event log of a TPM 2.0`);
  const reader = new ByteReader(data, name);
  // After the signature: platform class, versions, size of an integer.
  reader.take(spec.length + 4 + 4, 'the head');
  const lengths = new Map<number, number>();
  for (let count = reader.u32('a number of algorithms'); count > 0; count -= 1)
    lengths.set(reader.u16('an algorithm'), reader.u16('a length'));
  return lengths;
}

/** Returns the locality in which the TPM was started, which is the initial value of PCR 0 (10.4.5.3). */
function startupLocality({ register, type, data }: LoggedEvent): number | undefined {
  const head = Buffer.from('StartupLocality\0', 'latin1');
  const bytes = Buffer.from(data);
  if (register !== 0 || type !== eventType.noAction || bytes.length !== head.length + 1) return undefined;
  return bytes.subarray(0, head.length).equals(head) ? bytes[head.length] : undefined;
}

/** An event of a log. */
export interface LoggedEvent {
  readonly register: number;
  /** By the name of the bank, in hex. */
  readonly digests: Readonly<Record<string, string>>;
  readonly type: number;
  readonly data: Uint8Array;
}

/**
 * A record of CEL-JSON (TCG Canonical Event Log Format): the form of tpm2-tss, and of systemd's tpm2-measure.log, which has no
 * `recnum` and another content type.
 */
interface CelRecord {
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

/**
 * Returns the value of each register of a bank that some event extends, in hex. Registers without an event have their initial
 * value: see `initialValue`. Undefined for a register with an event that has no digest of the bank.
 */
export function replay(
  events: readonly LoggedEvent[],
  bank: string,
): ReadonlyMap<number, string | undefined> {
  const values = new Map<number, string | undefined>();
  const locality = events.map(startupLocality).find((one) => one !== undefined);
  if (locality !== undefined) values.set(0, localityValue(bank, locality));
  for (const { register, type, digests } of events) {
    // Recorded, and not extended.
    if (type === eventType.noAction) continue;
    const before = values.has(register) ? values.get(register) : initialValue(bank);
    const digest = digests[bank];
    values.set(
      register,
      before === undefined || digest === undefined
        ? undefined
        : createHash(bank)
            .update(Buffer.from(`${before}${digest}`, 'hex'))
            .digest('hex'),
    );
  }
  return values;
}

/** Returns the value of registers 0 to 15 after a reset. */
export function initialValue(bank: string): string {
  return '0'.repeat(createHash(bank).digest('hex').length);
}

function localityValue(bank: string, locality: number): string {
  return `${initialValue(bank).slice(2)}${locality.toString(16).padStart(2, '0')}`;
}

/** Reports whether the digest of a bank is that of the data: always so for events of the agent. */
export function hasDigestOfData({ digests, data }: LoggedEvent, bank: string): boolean {
  return digests[bank] === createHash(bank).update(data).digest('hex');
}
