import type { ParsedDocument } from '../parse/parsed-document.js';

/** A delivered document after binding. */
export interface BoundDocument {
  readonly file: string;
  readonly bytes: Uint8Array;
  /** As in `LoadedDocument`. */
  readonly binding: string;
  /** Absent: it has not been parsed yet. */
  readonly parsed?: ParsedDocument;
}
