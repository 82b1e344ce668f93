import { type PemTexts, witnessCaKey } from './named-files.js';
import { isAddress } from '../value-types/witness-via.js';
import type { WitnessEntry } from '../witness/read-witnesses.js';
import type { WitnessSettings } from '../witness/witness.js';

/** Returns a witness, with its CA as text. */
export function witnessSettings(
  { name, key, via }: WitnessEntry,
  pemTexts: PemTexts['texts'],
): WitnessSettings {
  return {
    name,
    key,
    via: isAddress(via.value)
      ? // Absent only on another machine, where no agent runs.
        { kind: 'url', url: via.value, ca: pemTexts.get(witnessCaKey(name)) ?? '' }
      : { kind: 'listener', name: via.value },
  };
}
