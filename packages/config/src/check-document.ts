import type { MethodName } from '@kata-agent/catalogue';
import type { RuleChecker } from './configuration.js';
import type { Diagnostic } from './diagnostic.js';
import { parseDocument } from './document.js';
import { settle } from './settle.js';

export interface Checked {
  /** Errors and warnings, in the order of the document. */
  readonly diagnostics: readonly Diagnostic[];
  /** 1: it would not be loaded. */
  readonly exitCode: 0 | 1;
}

export interface CheckOptions {
  /** The methods whose handlers a build contains; undefined: all. */
  readonly handlers?: ReadonlySet<MethodName>;
  /** Asked for when the document has a rule; without it a rule is an error. */
  readonly rules?: () => Promise<RuleChecker>;
}

/** Checks a base document on any machine, without overrides and without asking where it lies or whose it is. */
export async function checkDocument(
  bytes: Uint8Array,
  file: string,
  options: CheckOptions = {},
): Promise<Checked> {
  const parsed = parseDocument(bytes, file, options);
  if (!parsed.ok) return { diagnostics: parsed.diagnostics, exitCode: 1 };
  const { diagnostics } = settle([parsed.document], [], false);
  return { diagnostics: [...parsed.document.warnings, ...diagnostics], exitCode: 0 };
}
