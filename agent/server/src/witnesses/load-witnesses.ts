import type { Witnesses, WitnessesOptions } from './witnesses.js';

/** Loads the witnesses of the audit log, if the configuration has any: they cost memory. */
export async function loadWitnesses(options: WitnessesOptions): Promise<Witnesses | undefined> {
  if (options.configuration.witnesses.length === 0) return undefined;
  const { Witnesses } = await import('./witnesses.js');
  return new Witnesses(options);
}
