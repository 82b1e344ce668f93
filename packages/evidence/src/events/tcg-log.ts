import { EvidenceFormError } from '../evidence-error.js';
import { eventType, type LoggedEvent } from './logged-event.js';

/** Names of TPM_ALG_ID, as in `packages/measurement`. Others are skipped by the length that the log's head says. */
const names: Readonly<Record<number, string>> = { 4: 'sha1', 11: 'sha256', 12: 'sha384', 13: 'sha512' };

const spec = Buffer.from('Spec ID Event03\0', 'latin1');

/**
 * Parses a crypto-agile event log (TCG PC Client Platform Firmware Profile, 10.2): the firmware's, in
 * /sys/kernel/security/tpm0/binary_bios_measurements, and those that the agent keeps. Throws an EvidenceFormError.
 */
export function parseTcgLog(bytes: Uint8Array, name: string): readonly LoggedEvent[] {
  const reader = new Reader(bytes, name);
  // The head has the old form, with a SHA-1.
  reader.skip(8 + 20);
  const lengths = readHead(reader.take(reader.u32()), name);
  const events: LoggedEvent[] = [];
  while (!reader.atEnd) {
    const register = reader.u32();
    const type = reader.u32();
    const digests: Record<string, string> = {};
    for (let count = reader.u32(); count > 0; count -= 1) {
      const id = reader.u16();
      const length = lengths.get(id);
      if (length === undefined)
        throw new EvidenceFormError(
          `${name}: an event has a digest of algorithm ${id}, which the head does not name`,
        );
      const digest = reader.take(length).toString('hex');
      const bank = names[id];
      if (bank !== undefined) digests[bank] = digest;
    }
    events.push({ register, type, digests, data: new Uint8Array(reader.take(reader.u32())) });
  }
  return events;
}

/** Returns the length of a digest of each algorithm. */
function readHead(data: Buffer, name: string): ReadonlyMap<number, number> {
  if (!data.subarray(0, spec.length).equals(spec))
    throw new EvidenceFormError(`${name}: not a crypto-agile event log of a TPM 2.0`);
  const reader = new Reader(data, name);
  reader.skip(spec.length + 8);
  const lengths = new Map<number, number>();
  for (let count = reader.u32(); count > 0; count -= 1) lengths.set(reader.u16(), reader.u16());
  return lengths;
}

/** Returns the locality in which the TPM was started, which is the initial value of PCR 0 (10.4.5.3). */
export function startupLocality({ register, type, data }: LoggedEvent): number | undefined {
  const head = Buffer.from('StartupLocality\0', 'latin1');
  const bytes = Buffer.from(data);
  if (register !== 0 || type !== eventType.noAction || bytes.length !== head.length + 1) return undefined;
  return bytes.subarray(0, head.length).equals(head) ? bytes[head.length] : undefined;
}

class Reader {
  readonly #bytes: Buffer;
  readonly #name: string;
  #at = 0;

  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = Buffer.from(bytes);
    this.#name = name;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  u16(): number {
    return this.take(2).readUInt16LE();
  }

  u32(): number {
    return this.take(4).readUInt32LE();
  }

  skip(length: number): void {
    this.take(length);
  }

  take(length: number): Buffer {
    const taken = this.#bytes.subarray(this.#at, this.#at + length);
    if (taken.length < length) throw new EvidenceFormError(`${this.#name}: truncated`);
    this.#at += length;
    return taken;
  }
}
