import type { ImageSignatures } from '../image.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';
import { diagnosticIn, type ParsedDocument } from '../parse/parsed-document.js';
import { imageSettings } from '../settings/image-settings.js';
import { isJsonText } from '../value-types/json-source.js';
import { isPemText } from '../value-types/pem-source.js';

/**
 * Reports `[image]` of further documents that nothing would enforce, and keys of signatures that they name by a path: files are
 * those of the guest image, which the base document knows (S25).
 */
export function checkFurtherImage([base, ...later]: readonly ParsedDocument[]): readonly Diagnostic[] {
  const puller = base?.sections.image.get(imageSettings.puller.key)?.value ?? imageSettings.puller.default;
  return later.flatMap((document) => [
    ...(puller === 'built-in' ? [] : withoutPuller(document)),
    ...namedKeys(document),
  ]);
}

function withoutPuller(document: ParsedDocument): readonly Diagnostic[] {
  return [...document.sections.image].map(([key, { span }]) =>
    diagnosticIn(
      document,
      'error',
      'KA1113',
      span,
      `${key} has no effect: the base document does not have puller = "built-in"`,
      'write puller = "built-in" into the base document, or remove it',
    ),
  );
}

function namedKeys(document: ParsedDocument): readonly Diagnostic[] {
  const given = document.sections.image.get(imageSettings.signatures.key);
  const entries = (given?.value ?? []) as readonly ImageSignatures[];
  const path = entries
    .flatMap(({ keys, keyless }) => (keyless === undefined ? keys : [...keys, keyless.trustedRoot]))
    .find((value) => !isPemText(value) && !isJsonText(value));
  if (given === undefined || path === undefined) return [];
  const message = `signatures names the file ${JSON.stringify(path)}: only the base document names files`;
  return [
    diagnosticIn(
      document,
      'error',
      'KA1716',
      given.span,
      message,
      'write the key as PEM text, or the trusted root as JSON text',
    ),
  ];
}
