/**
 * What is recorded of a request when `[audit] facts` is on, to learn a configuration from. Names and kinds, never
 * values: the first word of a command, the names of the environment, the path of a file (S18).
 */
export interface RequestFacts {
  /** The program: argv[0]. */
  readonly command?: string;
  /** All of argv, program included. Arguments may contain secrets; enabling facts records them. */
  readonly arguments?: readonly string[];
  /** Names of environment variables, sorted. */
  readonly environment?: readonly string[];
  readonly cwd?: string;
  /** `uid:gid`. */
  readonly user?: string;
  readonly terminal?: boolean;
  /** Every capability in any of the five sets, sorted. */
  readonly capabilities?: readonly string[];
  readonly mounts?: readonly {
    readonly type: string;
    readonly source: string;
    readonly destination: string;
  }[];
  readonly storages?: readonly {
    readonly driver: string;
    readonly type: string;
    readonly mountPoint: string;
  }[];
  readonly devices?: readonly { readonly type: string; readonly path: string }[];
  /** The image that the host claims for the container. */
  readonly image?: string;
  /** Of CopyFile. */
  readonly path?: string;
  readonly signal?: number;
}
