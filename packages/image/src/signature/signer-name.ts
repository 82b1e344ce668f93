/** Who made a verified signature. */
export interface SignerName {
  /** Of a key `sha256:` and the hash of its SubjectPublicKeyInfo, of an identity `SUBJECT by ISSUER`. */
  readonly id: string;
}
