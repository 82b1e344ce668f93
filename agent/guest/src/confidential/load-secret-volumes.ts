import type { DataHub } from './data-hub.js';
import type { SecretParts, SecretVolumes } from './secret-volumes.js';

/** Loads the code for sealed secrets in volumes, if the guest has a data hub. */
export async function loadSecretVolumes(
  hub: DataHub | undefined,
  parts: Omit<SecretParts, 'hub'>,
): Promise<SecretVolumes | undefined> {
  if (hub === undefined) return undefined;
  const loaded = await import('./secret-volumes.js');
  return new loaded.SecretVolumes({ ...parts, hub });
}
