/** What the agent tells a child on its command line: nothing of it comes from a registry, and nothing is secret. */
export interface ChildOptions {
  readonly task: ChildTask;
  readonly user: number;
  /** Bytes of private memory. */
  readonly memory: number;
  readonly cpuSeconds: number;
  /** Bytes of one file. */
  readonly fileSize: number;
  /** The process of the agent. */
  readonly parent: number;
  /** Has the program and node_modules. */
  readonly programDirectory: string;
  /** `NAME=value`. */
  readonly environment: readonly string[];
}

/** `pull` has the network and no capability, the others the reverse. */
export type ChildTask =
  | {
      readonly name: 'pull';
      /** A directory that belongs to the user of the process. */
      readonly blobs: string;
      /** Whether signatures without a key are verified. */
      readonly keyless: boolean;
    }
  | {
      readonly name: 'unpack';
      readonly blobs: string;
      /** An empty directory, which becomes the root file system. */
      readonly target: string;
    }
  | {
      readonly name: 'pack';
      /** Path of mkfs.erofs, without links. */
      readonly program: string;
      /** The root file system. */
      readonly source: string;
      /** A directory that belongs to the user of the process. */
      readonly target: string;
    };

/** The name of the image of a root file system, in the directory for it. */
export const packedFile = 'image.erofs';
