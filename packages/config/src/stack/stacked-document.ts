import type { DeliveryName, DocumentRecord } from '../configuration.js';
import type { Diagnostic } from '../diagnostic.js';
import type { ParsedDocument } from '../document/parsed-document.js';

/** A document in its place, with where it came from. */
export interface StackedDocument {
  readonly document: ParsedDocument;
  readonly record: DocumentRecord;
}

/** All documents, the base first, or what forbids to go on. */
export type Stacked =
  | {
      readonly ok: true;
      readonly documents: readonly StackedDocument[];
      readonly warnings: readonly Diagnostic[];
    }
  | Refused;

/** 1: a document is wrong; 3: it may be right, and cannot be applied here. */
export interface Refused {
  readonly ok: false;
  readonly diagnostics: readonly Diagnostic[];
  readonly exitCode: 1 | 3;
}

export function wrong(diagnostics: readonly Diagnostic[]): Refused {
  return { ok: false, diagnostics, exitCode: 1 };
}

export function cannotApply(diagnostics: readonly Diagnostic[]): Refused {
  return { ok: false, diagnostics, exitCode: 3 };
}

export function failure(message: string, help: string): Diagnostic {
  return { severity: 'error', message, help };
}

/** A way of delivery in words, for messages. */
export const wayOf: Readonly<Record<DeliveryName, string>> = {
  initdata: 'an initdata device',
  fw_cfg: 'fw_cfg',
  kernel_line: 'agent.config_b64= on the kernel line',
  drop_ins: 'drop-ins',
};
