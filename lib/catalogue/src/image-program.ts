/** A user with its groups, as container engines resolve it in the root of an image. */
export interface ImageAccount {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
}

/**
 * What the root of an image has of the program that a request starts. All paths are absolute and without symbolic links.
 */
export interface ImageProgram {
  /** The program, its interpreters, the links and directories that lead to them, and files that choose libraries; some need not exist. */
  readonly files: readonly string[];
  /** Directories with libraries. */
  readonly directories: readonly string[];
  /** Destinations of the request's mounts, in its order. */
  readonly mounts: readonly string[];
  /** Other paths that the request replaces in the root: devices, masked paths, shared mounts. */
  readonly replaced: readonly string[];
  /** The user that the image declares; undefined: its root does not have it. */
  readonly declared: ImageAccount | undefined;
  /** The user of the request, with the groups that the root gives it. */
  readonly requested: ImageAccount;
}
