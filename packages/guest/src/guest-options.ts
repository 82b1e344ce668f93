import type { Syscalls } from '@kata-agent/linux';
import type { StreamRef } from './actions.js';
import type { GuestAccess } from './guest-access.js';

export interface GuestOptions {
  readonly syscalls: Syscalls;
  readonly paths?: Partial<GuestPaths> | undefined;
  /** Absent: the guest has Kata's directory for itself. */
  readonly claim?: SandboxClaim | undefined;
  /** Path of the OCI runtime (runc). Undefined: container calls fail with `precondition`, naming what to install. */
  readonly runtime: string | undefined;
  /** Bytes of each stdio pipe, the setting `container_pipe_size`; 0: the kernel's default. */
  readonly pipeSize?: number | undefined;
  /** How long a device may take to appear, in seconds: the setting `hotplug_timeout`. Default: 3. */
  readonly hotplugTimeout?: number | undefined;
  readonly limits?: Partial<GuestLimits> | undefined;
  /** OCI hooks and `guest_hook_path` (S10). Default: refuse. */
  readonly hooks?: 'refuse' | 'allow' | undefined;
  /** What containers may have of the guest. Default: as without a configuration. */
  readonly access?: GuestAccess | undefined;
  readonly output?: OutputPolicy | undefined;
  readonly log?: GuestLog | undefined;
}

/** Kata's directory, for one of several agents on a machine. Once a guest has it, it keeps it until the process ends. */
export interface SandboxClaim {
  readonly held: boolean;
  /** Returns undefined when the guest has it now, or had it before; else which process has it, and what to do. */
  take(directory: string): string | undefined;
}

export interface GuestPaths {
  /** Kata's own directory: bundles, shared files, the sandbox's storages. `/run/kata-containers`. */
  readonly kata: string;
  /** Our state: the runtime's root, pid files, sockets. `/run/kata-agent`, or `--state-dir`. */
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

export interface GuestLimits {
  readonly containers: number;
  readonly execsPerContainer: number;
  /** Bytes buffered per output stream before its pipe is left alone. */
  readonly streamBuffer: number;
}

/**
 * What becomes of a stream that nobody may read (R15): it is drained so that the workload never hangs on a full
 * pipe, and either thrown away or kept, the last `bytes` of it, in `<state>/output/<container>-<exec>.<stream>`.
 */
export interface OutputPolicy {
  /** Whether anyone may read the stream; asked whenever its buffer is full. The answer may change from call to call. */
  readonly readable: (stream: StreamRef) => boolean;
  readonly unreadable: 'discard' | { readonly bytes: number };
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type GuestLog = (level: LogLevel, message: string, extras?: Readonly<Record<string, string>>) => void;
