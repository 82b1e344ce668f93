import type { ApiDocument, SectionName } from '../configuration.js';
import type { Diagnostic, Span } from '../diagnostics/diagnostic.js';
import type { ListenerEntry } from '../listener/read-listeners.js';
import type { WitnessEntry } from '../witness/read-witnesses.js';
import type { SecretEntry } from '../secret/read-secrets.js';
import type { GivenSection } from '../settings/read-section.js';
import type { DocumentRole } from '../document/entry-key.js';

/** A parsed and checked document. */
export interface ParsedDocument {
  readonly file: string;
  readonly role: DocumentRole;
  /** SHA-256 of the parsed bytes. */
  readonly sha256: string;
  readonly sections: { readonly [S in SectionName]: GivenSection };
  readonly api: ApiDocument;
  /** In document order. */
  readonly listeners: readonly ListenerEntry[];
  /** In document order; none in a further document. */
  readonly witnesses: readonly WitnessEntry[];
  /** In document order; none in a further document. */
  readonly secrets: readonly SecretEntry[];
  /** The position for messages about something missing in `[api]`. */
  readonly apiSpan: Span;
  /** Returns the line of a position, for later messages. */
  readonly lineOf: (span: Span) => string;
  readonly warnings: readonly Diagnostic[];
}

export type DocumentOutcome =
  | { readonly ok: true; readonly document: ParsedDocument }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** Creates a diagnostic with a position in a parsed document. */
export function diagnosticIn(
  document: ParsedDocument,
  severity: Diagnostic['severity'],
  code: Diagnostic['code'],
  span: Span,
  message: string,
  help: string,
): Diagnostic {
  return { severity, code, message, span, sourceLine: document.lineOf(span), help };
}
