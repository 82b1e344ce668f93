import type { ImageConfiguration, ImageSettings, ImageSignatureList } from '../image.js';
import type { ParsedDocument } from '../parse/parsed-document.js';
import {
  credentialsKey,
  type PemTexts,
  registryCaKey,
  signatureKeyKey,
  trustedRootKey,
} from './named-files.js';
import { imageSettings } from '../settings/image-settings.js';

/**
 * Returns `[image]` with texts in place of the files that it names. Registries and signatures of further documents only
 * narrow: they stay apart from those of the first.
 */
export function imageConfiguration(
  settings: ImageSettings,
  documents: readonly ParsedDocument[],
  texts: PemTexts['texts'],
): ImageConfiguration {
  return {
    ...settings,
    registries: valuesOf('registries', documents),
    registryCa: texts.get(registryCaKey),
    staticCredentials: texts.get(credentialsKey),
    signatures: signatureLists(documents, texts),
  };
}

function signatureLists(
  documents: readonly ParsedDocument[],
  texts: PemTexts['texts'],
): readonly ImageSignatureList[] {
  const [first, ...added] = valuesOf('signatures', documents);
  if (first === undefined) return [];
  // None of several further documents decides alone, or an earlier one of the host would let pass what a later one refuses.
  const ofBase = documents[0]?.sections.image.has(imageSettings.signatures.key) === true;
  // Only the base document names files; the keys of further ones are texts already.
  const entries = first.map((each, entry) => ({
    ...each,
    keys: each.keys.map((key, index) => texts.get(signatureKeyKey(entry, index)) ?? key),
    ...(each.keyless === undefined
      ? {}
      : {
          keyless: {
            ...each.keyless,
            trustedRoot: texts.get(trustedRootKey(entry)) ?? each.keyless.trustedRoot,
          },
        }),
  }));
  return [{ entries, closed: true }, ...added.map((list) => ({ entries: list, closed: !ofBase }))];
}

/** Returns a setting in each document that has it. */
function valuesOf<P extends keyof ImageSettings>(
  setting: P,
  documents: readonly ParsedDocument[],
): readonly NonNullable<ImageSettings[P]>[] {
  const { key } = imageSettings[setting];
  return documents.flatMap(({ sections }) => {
    const given = sections.image.get(key);
    // The type of its row has parsed it.
    return given === undefined ? [] : [given.value as NonNullable<ImageSettings[P]>];
  });
}
