/** What an image declares of its process (OCI image configuration, `config`). */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: readonly string[];
  /** As in the image: `user`, `uid:gid`; may be empty. */
  readonly user: string;
  /** May be empty. */
  readonly workingDir: string;
  readonly volumes: readonly string[];
  readonly stopSignal: string;
}

/** An image that the guest pulled. What the puller did not verify is undefined. */
export interface PulledImage {
  /** As the request names it. */
  readonly reference: string;
  /** Digest of what the reference names, an index or a manifest: `sha256:` and 64 hex digits. */
  readonly digest: string | undefined;
  /** Digest of this platform's manifest. */
  readonly manifestDigest: string | undefined;
  readonly config: ImageConfig | undefined;
  /** The signatures that the puller verified, for records: key, format, what is signed. */
  readonly signatures?: readonly string[];
}
