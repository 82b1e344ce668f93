import { ByteReader } from '../bytes/byte-reader.js';
import { EvidenceFormError } from '../evidence-error.js';
import { eventType, type LoggedEvent } from './logged-event.js';

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
export function startupLocality({ register, type, data }: LoggedEvent): number | undefined {
  const head = Buffer.from('StartupLocality\0', 'latin1');
  const bytes = Buffer.from(data);
  if (register !== 0 || type !== eventType.noAction || bytes.length !== head.length + 1) return undefined;
  return bytes.subarray(0, head.length).equals(head) ? bytes[head.length] : undefined;
}
