import type { MethodName } from '@kata-agent/catalogue';
import type { Diagnostic, Span } from '@kata-agent/config';

/** A key of `[agent]` in the new form, and where it stood in the old one. */
export interface MigratedSetting {
  readonly key: string;
  /** In TOML: `"debug"`. */
  readonly value: string;
  readonly span: Span;
}

/** What one old list of endpoints served, by what it was called there. */
export interface MigratedList {
  readonly allowed: ReadonlyMap<MethodName, { readonly entry: string; readonly span: Span }>;
}

/** What one old file comes to. */
export interface MigratedPart {
  readonly settings: readonly MigratedSetting[];
  /** Absent: the file says nothing of endpoints. */
  readonly list?: MigratedList;
  /** Another file decided what was served: its place in this one. */
  readonly policyFile?: Span;
  /** What could not be carried over, each a warning. */
  readonly notes: readonly Diagnostic[];
}

export type ReadPart =
  | { readonly ok: true; readonly part: MigratedPart }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };
