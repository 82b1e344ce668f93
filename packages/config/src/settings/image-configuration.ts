import type { ImageConfiguration, ImageSettings } from '../configuration.js';
import { credentialsKey, type PemTexts, registryCaKey, signatureKeyKey } from '../listener/named-files.js';

/** Returns `[image]` with texts in place of the files that it names. */
export function imageConfiguration(settings: ImageSettings, texts: PemTexts['texts']): ImageConfiguration {
  return {
    ...settings,
    registryCa: texts.get(registryCaKey),
    staticCredentials: texts.get(credentialsKey),
    signatures: settings.signatures?.map((each, entry) => ({
      ...each,
      keys: each.keys.map((_, index) => texts.get(signatureKeyKey(entry, index)) ?? ''),
    })),
  };
}
