import type { DeliveryName, LoadedDocument, LoadedInitdata } from '../delivery.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';
import type { ParsedDocument } from '../parse/parsed-document.js';

/** All documents, the base first, or why loading stops. */
export type Stacked = StackedDocuments | Refused;

export interface StackedDocuments {
  readonly ok: true;
  readonly documents: readonly ParsedDocument[];
  /**
   * One for each document; documents in one initdata envelope share its record. Empty without a base document, even if
   * `policy.rego` of initdata is a document.
   */
  readonly records: readonly LoadedDocument[];
  readonly initdata?: LoadedInitdata;
  /** As in `Configuration.initdataTexts`. */
  readonly initdataTexts?: ReadonlyMap<string, string>;
  /** Also errors, if documents do not fit together: they are reported with what else is wrong. */
  readonly warnings: readonly Diagnostic[];
}

/** 1: a document is invalid; 3: it may be valid but cannot be applied here. */
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

export function failure(code: Diagnostic['code'], message: string, help: string): Diagnostic {
  return { severity: 'error', code, message, help };
}

/** Names of the delivery sources for messages. */
export const wayOf: Readonly<Record<DeliveryName, string>> = {
  initdata: 'an initdata device',
  fw_cfg: 'fw_cfg',
  kernel_line: 'agent.config_b64= on the kernel command line',
  drop_ins: 'drop-ins',
};
