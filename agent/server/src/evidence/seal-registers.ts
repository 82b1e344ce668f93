import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AgentKeys, keysEvent, parseTcgLog, separatorEvent } from '@kata-agent/evidence';
import { hasCode } from '@kata-agent/linux';
import { type Register, RegisterLog } from '@kata-agent/measurement';
import { measurementDirectory } from '../measurement/measure.js';

/** Whether this start's keys are in a register: a later start in the same boot comes after the separator. */
export type Sealing = 'sealed' | 'sealed by an earlier start';

/**
 * Extends the keys of this start, and then a separator, behind the configuration: once for each boot, before the first container.
 * Events after the separator are not believed, since a container can have become root in the guest since; so after a start of the
 * agent in the same boot, no evidence has its keys. Throws a MeasurementError.
 */
export async function sealRegister(register: Register, keys: AgentKeys, bootId: string): Promise<Sealing> {
  const separator = separatorEvent(bootId);
  const name = register.kind;
  // Read before the register is compared with it: another program can have extended a sealed register, and changes nothing.
  if (hasEvent(keysLog(name), separator)) return 'sealed by an earlier start';
  const log = await RegisterLog.open(register, {
    directory: measurementDirectory,
    bootId,
    name: `${name}-keys`,
  });
  // An earlier start has crashed between separator and log; opening it has completed the log.
  if (hasEvent(keysLog(name), separator)) return 'sealed by an earlier start';
  await log.extend(keysEvent(keys));
  await log.extend(separator);
  return 'sealed';
}

/** The file of the log of keys and separator. */
export function keysLog(kind: Register['kind']): string {
  return `${kind}-keys-event-log`;
}

function hasEvent(file: string, event: Uint8Array): boolean {
  try {
    const bytes = readFileSync(join(measurementDirectory, file));
    return parseTcgLog(bytes, file).some(({ data }) => Buffer.compare(data, event) === 0);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
