/** A guest component, ready to be started. */
export interface Component {
  /** Its name in messages: `attestation-agent`. */
  readonly id: string;
  /** Absolute. */
  readonly path: string;
  readonly args: readonly string[];
  /** A file that is passed with `-c` if it exists. */
  readonly config: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** The socket that shows that it is ready; undefined: it is not waited for. */
  readonly waitSocket: string | undefined;
  /** In ms; 0: it is not waited for. */
  readonly timeoutMs: number;
}

/** Where Kata's extension image with the guest components is mounted. */
export const extensionRoot: string = '/run/kata-extensions/coco';
