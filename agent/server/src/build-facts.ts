import type { MethodName } from '@kata-agent/catalogue';

/** Decisions of the build (R13). */
export interface BuildFacts {
  /** Methods without handlers in this program. */
  readonly leftOut: readonly MethodName[];
  /** The document from which the build derived the missing methods. */
  readonly builtFor?: { readonly name: string; readonly sha256: string };
  /** The text of that document, if it is built in: no other is read. */
  readonly document?: string;
  /**
   * The time of the source from which the program was built, in seconds since 1970: the default of `clock_floor`.
   * Undefined: unknown.
   */
  readonly sourceTime?: number;
  /** Whether the program requires a configuration. */
  readonly requireConfig: boolean;
}

/**
 * The compiled packages have all methods and require nothing. `npm run bundle` replaces this module, and the table of
 * handlers, `services/table.ts`.
 */
export const buildFacts: BuildFacts = { leftOut: [], requireConfig: false };
