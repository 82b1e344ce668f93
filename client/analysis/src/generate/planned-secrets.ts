import { createHash } from 'node:crypto';
import { parseSealed } from '@kata-agent/catalogue/sealed-secret';
import { isResource } from '@kata-agent/config';
import type { Workload } from '@kata-agent/workloads';
import type { PlannedSecret } from '../write/planned-secret.js';

/**
 * Returns where the sealed secrets of workloads are unsealed: bound to the resource, if they name one of the key broker, and otherwise
 * to their text. What only begins like a sealed secret stays text.
 */
export function plannedSecrets(
  workloads: readonly Workload[],
  shortOf: (workload: Workload) => (reason: string) => string,
): readonly PlannedSecret[] {
  const found = new Map<string, PlannedSecret>();
  for (const workload of workloads) {
    const short = shortOf(workload);
    for (const { container, place, text, path } of workload.sealedLocations) {
      const parsed = parseSealed(text);
      if (typeof parsed === 'string') continue;
      const names = parsed.type === 'vault' && parsed.provider === 'kbs' && isResource(parsed.name);
      const binding = names
        ? { resource: parsed.name }
        : { sha256: createHash('sha256').update(text, 'latin1').digest('hex') };
      const keys = { container, ...place, ...binding };
      const key = JSON.stringify(keys);
      if (!found.has(key)) found.set(key, { keys, because: [short(path)] });
    }
  }
  return [...found.values()];
}
