import type { Syscalls } from '@kata-agent/linux';
import type { GuestLimits, GuestPaths, OutputPolicy } from '../guest-options.js';
import type { Stdio } from '../runtime/runtime.js';
import type { ProcessStreams } from './process-streams.js';

/** Names of a process's pipes as the kernel has them (`pipe:[INODE]` in /proc/<pid>/fd), by which they are found again. */
export type PipeInodes = readonly [stdin: number, stdout: number, stderr: number];

/** Streams before their process is there: one end for the runtime to hand on, one for us. */
export interface PreparedStreams {
  readonly stdio: Stdio;
  /** Undefined with a terminal. */
  readonly pipes?: PipeInodes;
  /** The process has its ends now: ours become streams. */
  readonly attach: () => ProcessStreams;
  /** There will be no process. */
  readonly discard: () => void;
}

/** What of the guest's own context streams need. */
export interface StreamOptions {
  readonly syscalls: Syscalls;
  readonly paths: GuestPaths;
  readonly limits: GuestLimits;
  readonly output: OutputPolicy;
  readonly pipeSize: number;
}
