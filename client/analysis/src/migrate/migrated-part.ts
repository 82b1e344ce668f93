import type { MethodName } from '@kata-agent/catalogue';
import type { Diagnostic, Span } from '@kata-agent/config';

/** A key of `[agent]` in the new form, and its position in the old file. */
export interface MigratedSetting {
  readonly key: string;
  /** In TOML: `"debug"`. */
  readonly value: string;
  readonly span: Span;
}

/** The methods that one old list of endpoints served, by their old names. */
export interface MigratedList {
  readonly allowed: ReadonlyMap<MethodName, { readonly entry: string; readonly span: Span }>;
}

/** The result of one old file. */
export interface MigratedPart {
  readonly settings: readonly MigratedSetting[];
  /** Absent: the file does not mention endpoints. */
  readonly list?: MigratedList;
  /** The position at which this file names another one that decided what is served. */
  readonly policyFile?: Span;
  /** Warnings about what could not be converted. */
  readonly notes: readonly Diagnostic[];
}

export type ReadPart =
  | { readonly ok: true; readonly part: MigratedPart }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };
