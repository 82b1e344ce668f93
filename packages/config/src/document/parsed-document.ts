import type { ApiDocument, SectionName } from '../configuration.js';
import type { Diagnostic, Span } from '../diagnostic.js';
import type { ListenerEntry } from '../listener/read-listeners.js';
import type { GivenSection } from '../read-section.js';
import type { DocumentRole } from './entry-key.js';

/** What a document says, read and checked by itself. */
export interface ParsedDocument {
  readonly file: string;
  readonly role: DocumentRole;
  /** Of the bytes that were parsed. */
  readonly sha256: string;
  readonly sections: { readonly [S in SectionName]: GivenSection };
  readonly api: ApiDocument;
  /** In the order of the document. */
  readonly listeners: readonly ListenerEntry[];
  /** Where to point when something is missing in `[api]`. */
  readonly apiSpan: Span;
  /** The line of a place in it, for messages that are found later. */
  readonly lineOf: (span: Span) => string;
  readonly warnings: readonly Diagnostic[];
}

export type DocumentOutcome =
  | { readonly ok: true; readonly document: ParsedDocument }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** A diagnostic that points into a document which has been read. */
export function diagnosticIn(
  document: ParsedDocument,
  severity: Diagnostic['severity'],
  span: Span,
  message: string,
  help: string,
): Diagnostic {
  return { severity, message, span, sourceLine: document.lineOf(span), help };
}
