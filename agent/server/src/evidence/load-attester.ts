import type { Configuration } from '@kata-agent/config';
import { loadRegisters } from '../measurement/measure.js';
import type { Attester } from './attester.js';
import type { AttesterEnvironment } from './open-attester.js';

/**
 * Loads evidence if the configuration has sources of it: an agent without needs no memory for it. Undefined: there is none.
 *
 * @throws CannotApply as `openAttester`.
 */
export async function loadAttester(
  configuration: Configuration,
  environment: AttesterEnvironment,
): Promise<Attester | undefined> {
  if (configuration.evidence.sources.length === 0) return undefined;
  const { openAttester } = await import('./open-attester.js');
  return openAttester(configuration, { ...environment, registers: await loadRegisters(configuration) });
}
