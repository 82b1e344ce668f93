import type { MethodName } from '@kata-agent/catalogue';
import type { Diagnostic } from './diagnostic.js';
import { parseDocument } from './document.js';
import { settle } from './settle.js';

export interface Checked {
  /** Errors and warnings, in the order of the document. */
  readonly diagnostics: readonly Diagnostic[];
  /** 1: it would not be loaded. */
  readonly exitCode: 0 | 1;
}

/** Checks a base document on any machine, without overrides and without asking where it lies or whose it is. */
export function checkDocument(
  bytes: Uint8Array,
  file: string,
  options: { readonly handlers?: ReadonlySet<MethodName> } = {},
): Checked {
  const parsed = parseDocument(bytes, file, options);
  if (!parsed.ok) return { diagnostics: parsed.diagnostics, exitCode: 1 };
  const { diagnostics } = settle([parsed.document], [], false);
  return { diagnostics: [...parsed.document.warnings, ...diagnostics], exitCode: 0 };
}
