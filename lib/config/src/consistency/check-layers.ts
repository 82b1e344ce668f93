import type { Effective } from '../configuration.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';
import { diagnosticIn, type ParsedDocument } from '../parse/parsed-document.js';
import { imageSettings } from '../settings/image-settings.js';

/** Names by which a rule pins layers: one name, not the word in `image.from`, or all three values of dm-verity. */
const pins = /(?<!["'])\bverified_layers\b(?!["'])/;
const values: readonly RegExp[] = [/\broot_hash\b/, /\bsalt\b/, /\bdata_blocks\b/];

/**
 * Checks that rules pin verified layers, since dm-verity alone compares the disks of the host with values of the host; and that
 * rules name them only where there are any.
 */
export function checkLayers(
  documents: readonly ParsedDocument[],
  settings: readonly Effective[],
): readonly Diagnostic[] {
  const { section, key } = imageSettings.layers;
  const isVerified = settings.some(
    (setting) => setting.section === section && setting.key === key && setting.value === 'verified',
  );
  const rules = documents.flatMap((document) =>
    document.api.rules
      .filter(({ methods }) => methods.has('CreateContainer'))
      .map((rule) => ({ document, rule })),
  );
  if (isVerified)
    return rules.some(({ rule }) => rule.enforcement === 'enforce' && isPin(rule.expression))
      ? []
      : documents
          .slice(0, 1)
          .map((base) =>
            diagnosticIn(
              base,
              'error',
              'KA1115',
              base.sections.image.get(key)?.span ?? base.apiSpan,
              'layers = "verified", and no rule of CreateContainer compares verified_layers: the host would choose the layers and their root hashes',
              'add a rule; kata-agent-ctl config generate --layers writes it',
            ),
          );
  return rules
    .filter(({ rule }) => isPin(rule.expression))
    .map(({ document, rule: { name, span } }) =>
      diagnosticIn(
        document,
        'error',
        'KA1117',
        span,
        `rule "${name}" is about verified layers, and without layers = "verified" there are none`,
        'write layers = "verified" in [image], or remove the rule',
      ),
    );
}

function isPin(expression: string): boolean {
  return pins.test(expression) || values.every((value) => value.test(expression));
}
