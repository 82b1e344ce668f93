import type { MethodName } from '@kata-agent/catalogue';

/** A rule that is not about a fact, with its own expression. */
export interface ExtraRule {
  /** The rule's name after the method's prefix: `links`. */
  readonly name: string;
  readonly method: MethodName;
  /** The rule's purpose, as a comment above it. */
  readonly description: string;
  /** CEL, without an apostrophe. */
  readonly expression: string;
  readonly message: string;
}
