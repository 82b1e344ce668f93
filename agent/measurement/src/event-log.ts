import { type Banks, rowsOf } from './register.js';

const evNoAction = 3;
const evEventTag = 6;

/** An event that was extended into a register. */
export interface LoggedEvent {
  /** The register's number in the log. */
  readonly index: number;
  readonly digests: Banks;
  /** The data of an EV_EVENT_TAG event. */
  readonly event: Uint8Array;
}

/**
 * Encodes a crypto-agile event log (TCG PC Client Platform Firmware Profile, 10.2), as read by firmware,
 * `tpm2_eventlog` and the verifiers of confidential guests: a header that names the algorithms, then one entry per
 * event.
 */
export function writeEventLog(events: readonly LoggedEvent[]): Uint8Array {
  const banks = Array.from(new Set(events.flatMap(({ digests }) => Object.keys(digests))));
  return new Uint8Array(Buffer.concat([head(banks), ...events.map(entry)]));
}

/** Encodes the entry of one event, which can be appended to a log with the same banks. */
export function eventLogEntry(event: LoggedEvent): Uint8Array {
  return new Uint8Array(entry(event));
}

/** Encodes a log without events. */
export function emptyEventLog(banks: readonly string[]): Uint8Array {
  return new Uint8Array(head(banks));
}

/** TCG_PCClientPCREvent in the old format, with TCG_EfiSpecIdEvent as its data. */
function head(banks: readonly string[]): Buffer {
  const rows = rowsOf(banks);
  const data = Buffer.concat([
    Buffer.from('Spec ID Event03\0', 'latin1'),
    // Platform class "client", version 2.00 errata 0, 64-bit words.
    u32(0),
    Buffer.from([0, 2, 0, 2]),
    u32(rows.length),
    ...rows.flatMap(({ id, bytes }) => [u16(id), u16(bytes)]),
    // No vendor information.
    Buffer.from([0]),
  ]);
  return Buffer.concat([u32(0), u32(evNoAction), Buffer.alloc(20), u32(data.length), data]);
}

/** TCG_PCR_EVENT2. */
function entry({ index, digests, event }: LoggedEvent): Buffer {
  const rows = rowsOf(Object.keys(digests));
  return Buffer.concat([
    u32(index),
    u32(evEventTag),
    u32(rows.length),
    ...rows.flatMap(({ name, id }) => [u16(id), Buffer.from(digests[name] ?? '', 'hex')]),
    u32(event.length),
    event,
  ]);
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
