/** What the agent tells the child on its command line: nothing of it comes from a registry. */
export interface ChildOptions {
  readonly blobs: string;
  readonly target: string;
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
