/** A signer as Fulcio writes it into a certificate. Both are compared byte by byte. */
export interface SignerIdentity {
  /** The URL of the OpenID Connect provider. */
  readonly issuer: string;
  /** The subject alternative name: a URI, such as that of a workflow, or an email address. */
  readonly subject: string;
}

/** The identities that may sign without a key, and what proves an identity. */
export interface KeylessSettings {
  /** The JSON text of a Sigstore trusted root: CAs, certificate logs, transparency logs, timestamp authorities. */
  readonly trustedRoot: string;
  readonly identities: readonly SignerIdentity[];
}
