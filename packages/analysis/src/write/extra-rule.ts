import type { MethodName } from '@kata-agent/catalogue';

/** A rule about what no fact tells, written as it stands. */
export interface ExtraRule {
  /** Behind the method's own word, as of other rules: `links`. */
  readonly name: string;
  readonly method: MethodName;
  /** What the rule says and why, as a comment above it. */
  readonly says: string;
  /** CEL, without an apostrophe. */
  readonly expression: string;
  readonly message: string;
}
