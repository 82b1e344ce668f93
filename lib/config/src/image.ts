/** A signer in the certificate of a signature without a key. */
export interface SignerIdentity {
  /** The URL of the OpenID Connect provider. */
  readonly issuer: string;
  /** The subject alternative name. */
  readonly subject: string;
}

/** The identities that may sign without a key (keyless). */
interface KeylessSigners {
  /** A Sigstore trusted root in JSON. In a document: a path, or the text. */
  readonly trustedRoot: string;
  readonly identities: readonly SignerIdentity[];
}

/** Images of a scope need a signature by one of the keys or identities, in one of the formats, or have one of the digests. */
export interface ImageSignatures {
  /** A pattern of repositories. */
  readonly scope: string;
  /** Public keys in PEM. In a document: a path, or the text. */
  readonly keys: readonly string[];
  readonly formats: readonly string[];
  /** Then there are no keys. */
  readonly keyless?: KeylessSigners;
  /** Of indexes or manifests; then there are neither keys nor formats. */
  readonly digests?: readonly string[];
}

/** The signatures that one document demands. */
export interface ImageSignatureList {
  readonly entries: readonly ImageSignatures[];
  /** An image that no scope of the entries matches is refused. Else the list demands nothing of it. */
  readonly closed: boolean;
}

/** Images of containers that the guest gets itself (R18). All but `puller`, and `store`, which the data hub can have, is for the built-in puller. */
export interface ImageSettings {
  readonly puller: 'none' | 'cdh' | 'built-in';
  /** Patterns of repositories; undefined: each. */
  readonly registries: readonly string[] | undefined;
  /** Certificates in PEM, in a document a path or the text; undefined: the public CAs. */
  readonly registryCa: string | undefined;
  /** A path, or `kbs:///…`; undefined: pulls are anonymous. */
  readonly credentials: string | undefined;
  readonly insecureStaticCredentials: boolean;
  /** By registry: the other hosts that issue its tokens. */
  readonly tokenHosts: Readonly<Record<string, readonly string[]>>;
  /** Where a registry, or a part of its repositories, is read first. */
  readonly mirrors: Readonly<Record<string, string>>;
  /** `http://HOST:PORT`; undefined: registries are reached directly. */
  readonly proxy: string | undefined;
  readonly requireDigest: boolean;
  /** Undefined: images need no signature. */
  readonly signatures: readonly ImageSignatures[] | undefined;
  /** Bytes of an image: of its blobs, and unpacked. */
  readonly maxSize: number;
  /** `kbs:///…`; undefined: encrypted layers are refused. */
  readonly decryptionKeys: string | undefined;
  readonly store: 'memory' | 'encrypted-disk';
  readonly layers: 'pulled' | 'verified';
}

/** `[image]` of all documents, with the texts of the files that it names. */
export interface ImageConfiguration extends Omit<ImageSettings, 'registries' | 'signatures'> {
  /** One list of patterns for each document that has one: an image must match in each. */
  readonly registries: readonly (readonly string[])[];
  /** One list for each document that has one: an image must pass each. Empty: images need no signature. */
  readonly signatures: readonly ImageSignatureList[];
  /** The content of the file that `credentials` names; undefined: it names none. */
  readonly staticCredentials: string | undefined;
}
