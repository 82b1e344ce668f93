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

/** Where the attestation agent listens (Kata 4.1, src/agent/src/main.rs). */
export const attestationSocket: string =
  '/run/confidential-containers/attestation-agent/attestation-agent.sock';

/** Where the confidential data hub listens. */
export const dataHubSocket: string = '/run/confidential-containers/cdh.sock';

/** Where initdata is written (keep-initdata.ts), and where the components look for their parts of it. */
export const initdataDirectory: string = '/run/confidential-containers/initdata';

/** Where Kata's extension image with the guest components is mounted. */
export const extensionRoot: string = '/run/kata-extensions/coco';
