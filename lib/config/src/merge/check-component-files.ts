import type { LoadedInitdata } from '../delivery.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';
import type { Settled } from './settle.js';
import { imageSettings } from '../settings/image-settings.js';
import { isResource } from '../value-types/resource-or-path.js';
import { isStronglyBound } from '../stack/bind-document.js';
import { failure } from '../stack/stacked-document.js';

/**
 * Reports files of initdata for the guest components that the host can have written, where the configuration relies on the data
 * hub: they name its key broker, and its policy for images.
 */
export function checkComponentFiles(
  initdata: LoadedInitdata | undefined,
  { values }: Pick<Settled, 'values'>,
): readonly Diagnostic[] {
  if (initdata?.binding === undefined || isStronglyBound(initdata.binding)) return [];
  const kept = initdata.files.filter(({ outcome }) => outcome === 'kept').map(({ name }) => name);
  const reliance = relianceOn(values);
  if (kept.length === 0 || reliance === undefined) return [];
  return [
    failure(
      'KA1718',
      `${initdata.file} has ${kept.join(' and ')}, and is not bound: the host would choose key broker and policy of the data hub, on which ${reliance} relies`,
      'write bind = "host_data" in [delivery] of the base document, or deliver initdata without these files',
    ),
  ];
}

/** Returns the key of `[image]` that relies on the data hub; undefined: none. */
function relianceOn(values: Settled['values']): string | undefined {
  const valueOf = (key: string): unknown =>
    values.find((one) => one.section === 'image' && one.key === key)?.value;
  const { puller, credentials, decryptionKeys } = imageSettings;
  if (valueOf(puller.key) === 'cdh') return `[image] ${puller.key} = "cdh"`;
  const resource = [credentials.key, decryptionKeys.key].find((key) => {
    const value = valueOf(key);
    return typeof value === 'string' && isResource(value);
  });
  return resource === undefined ? undefined : `[image] ${resource}`;
}
