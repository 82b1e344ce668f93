/** Directories of the guest that the agent uses. */
export interface GuestPaths {
  /** Kata's own directory: bundles, shared files, the sandbox's storages. `/run/kata-containers`. */
  readonly kata: string;
  /** The agent's state: the runtime's root, pid files, sockets. `/run/kata-agent`, or `--state-dir`. */
  readonly state: string;
  /** `/sys/fs/cgroup`. */
  readonly cgroup: string;
  /** `/proc`. */
  readonly proc: string;
  /** `/sys`. */
  readonly sys: string;
  /** `/dev`. */
  readonly dev: string;
}
