import type { MethodName } from '@kata-agent/catalogue';

/** What was decided when this program was built (R13). */
export interface BuildFacts {
  /** Methods whose handlers are not in the program. */
  readonly leftOut: readonly MethodName[];
  /** The document that was read at the build to know what to leave out. */
  readonly builtFor?: { readonly name: string; readonly sha256: string };
  /** The text of that document, if it is part of the program: then no other is read. */
  readonly document?: string;
  /** Without a configuration the program does not start. */
  readonly requireConfig: boolean;
}

/**
 * The compiled packages have everything and ask for nothing. `npm run bundle` puts another module in this one's place,
 * and another table of handlers in the place of `services/table.ts`.
 */
export const buildFacts: BuildFacts = { leftOut: [], requireConfig: false };
