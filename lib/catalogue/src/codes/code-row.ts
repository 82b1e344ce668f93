/**
 * An input that causes a diagnostic or denial with the code. A test loads every example, except `described`, which describes a
 * situation.
 */
export type CodeExample =
  | {
      readonly kind: 'document';
      /** A base document, in TOML. */
      readonly document: string;
      /** A further document, in TOML. */
      readonly further?: string;
      /** Words of the kernel command line. */
      readonly kernelCommandLine?: string;
    }
  /** The policy of a SetPolicy request: an `[api]` in TOML, or Rego. */
  | { readonly kind: 'policy'; readonly text: string }
  /** A configuration of Kata's agent, for `kata-agent-ctl config migrate`. */
  | { readonly kind: 'kata'; readonly text: string }
  /** A document, and a call that it denies. The request is proto3 JSON. */
  | {
      readonly kind: 'call';
      readonly document: string;
      readonly method: string;
      readonly request: object;
    }
  /** A suite of `kata-agent-ctl config test`, in YAML. */
  | { readonly kind: 'suite'; readonly text: string }
  | { readonly kind: 'described'; readonly text: string };

/** The description of a code: the text of `kata-agent-ctl explain CODE` and of docs/reference/codes.md. */
export interface CodeRow {
  /** A short title, without an article or a full stop. */
  readonly title: string;
  /** The meaning and the consequence. */
  readonly explanation: string;
  readonly example: CodeExample;
  /** How to fix it. */
  readonly remedy: string;
}
