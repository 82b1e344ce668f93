import type { Bus } from '../bus/bus.js';
import { oneProcess } from '../bus/one-process.js';
import type { RealmOptions } from './realm-options.js';

/** Opens the bus of a realm. What NATS needs is loaded only if there is one. Throws a BusError. */
export async function openBus({ bus, log }: RealmOptions): Promise<Bus> {
  if (bus === undefined) return oneProcess;
  const { NatsBus } = await import('../bus/nats/nats-bus.js');
  return await NatsBus.open({
    ...bus,
    log: (message, error) => log('warn', message, error === undefined ? {} : { why: error.message }),
  });
}
