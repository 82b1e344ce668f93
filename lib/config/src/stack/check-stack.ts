import type { Diagnostic, Span } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';
import type { ImageSignatures } from '../image.js';
import { diagnosticIn, type ParsedDocument } from '../parse/parsed-document.js';
import { implicitListener } from '../listener/listener-place.js';
import { peerThatNeverConnects } from '../value-types/peers.js';
import type { ListenerEntry } from '../listener/read-listeners.js';
import { imageSettings } from '../settings/image-settings.js';
import { isJsonText, isPemText } from '../value-types/sources.js';

/** Checks documents together: duplicate rule names, and listeners that the base does not have. */
export function checkStack(documents: readonly ParsedDocument[]): readonly Diagnostic[] {
  return [...checkRuleNames(documents), ...checkListeners(documents)];
}

/** Reports rules with the same name, which would make records and messages ambiguous. */
function checkRuleNames(documents: readonly ParsedDocument[]): readonly Diagnostic[] {
  const seen = new Map<string, Span>();
  const faults: Diagnostic[] = [];
  for (const document of documents) {
    for (const { name, span } of document.api.rules) {
      const before = seen.get(name);
      if (before === undefined) seen.set(name, span);
      else {
        const message = `there is a [[api.rule]] with the name ${quote(name)} already, in ${before.file}:${before.line}`;
        faults.push(diagnosticIn(document, 'error', 'KA1107', span, message, 'give it another name'));
      }
    }
  }
  return faults;
}

/**
 * Reports listeners of a further document that the base does not have: it can narrow a listener, never add one (S25).
 */
function checkListeners([base, ...later]: readonly ParsedDocument[]): readonly Diagnostic[] {
  const names = base?.listeners.length ? base.listeners.map(({ name }) => name) : [implicitListener];
  return later.flatMap((document) => [
    ...unknownListeners(document, base, names),
    ...document.listeners.flatMap((entry) => strangePeers(document, entry, base)),
  ]);
}

function unknownListeners(
  document: ParsedDocument,
  base: ParsedDocument | undefined,
  names: readonly string[],
): readonly Diagnostic[] {
  return document.listeners
    .filter(({ name }) => !names.includes(name))
    .map(({ name, span }) => {
      const message = `${base?.file ?? 'the base document'} has no listener with the name ${quote(name)}, and only it can add one`;
      const help = `it has ${names.map((known) => `"${known}"`).join(', ')}`;
      return diagnosticIn(document, 'error', 'KA1402', span, message, help);
    });
}

/** The address of a listener that a further document narrows is in the base document. */
function strangePeers(
  document: ParsedDocument,
  { name, peers }: ListenerEntry,
  base: ParsedDocument | undefined,
): readonly Diagnostic[] {
  const listener = base?.listeners.find((candidate) => candidate.name === name);
  if (listener?.address === undefined || peers === undefined) return [];
  const strange = peerThatNeverConnects(listener.address.value, listener.relay, peers.value);
  return strange === undefined
    ? []
    : [diagnosticIn(document, 'error', 'KA1401', peers.span, strange.message, strange.help)];
}

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
