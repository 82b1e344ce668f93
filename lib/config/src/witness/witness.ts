/** A witness that is asked to cosign the checkpoints of the audit log. */
export interface WitnessSettings {
  /** The name of its key. */
  readonly name: string;
  /** A verifier key of C2SP signed-note, for cosignatures. */
  readonly key: string;
  readonly via: WitnessPlace;
}

/** Where a witness is asked: `add-checkpoint` is added to the path. */
export type WitnessPlace =
  /** At the address that this listener dials, as its server is dialled. */
  | { readonly kind: 'listener'; readonly name: string }
  /** At an `https://` address, whose server has a certificate of `ca`, a PEM text. It gets no certificate of the agent. */
  | { readonly kind: 'url'; readonly url: string; readonly ca: string };
