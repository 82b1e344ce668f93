/** What the agent tells a child on its command line: nothing of it comes from a registry, and nothing is secret. */
export interface ChildOptions {
  readonly task: ChildTask;
  readonly blobs: string;
  readonly user: number;
  /** Bytes of private memory. */
  readonly memory: number;
  readonly cpuSeconds: number;
  /** Bytes of one file. */
  readonly fileSize: number;
  /** Has the program and node_modules. */
  readonly programDirectory: string;
  /** `NAME=value`. */
  readonly environment: readonly string[];
}

/** `pull` has the network and no capability, `unpack` the reverse. */
export type ChildTask =
  | { readonly name: 'pull' }
  | {
      readonly name: 'unpack';
      /** An empty directory, which becomes the root file system. */
      readonly target: string;
    };
