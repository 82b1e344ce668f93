import { createHash } from 'node:crypto';
import { eventType, type LoggedEvent } from './logged-event.js';
import { startupLocality } from './tcg-log.js';

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
