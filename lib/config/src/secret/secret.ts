/** A place of a container where the agent unseals a sealed secret, and which secrets it may be. */
export interface SecretSettings {
  /** The name of the container in the pod. */
  readonly container: string;
  readonly place: SecretPlace;
  /** What the sealed secret must name; absent: `sha256` alone decides. */
  readonly resource?: string;
  /** SHA-256 of the sealed text in lower-case hex; absent: any sealed secret that names the resource. */
  readonly sha256?: string;
}

export type SecretPlace =
  /** A variable of the environment of the first process. */
  | { readonly kind: 'env'; readonly name: string }
  /** A file, by its absolute path in the container. */
  | { readonly kind: 'file'; readonly path: string };
