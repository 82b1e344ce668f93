import type { Syscalls } from '@kata-agent/linux';
import type { GuestPaths } from '../paths/guest-paths.js';
import type { OutputPolicy } from './output-policy.js';
import type { Stdio } from '../runtime/runtime.js';
import type { ProcessStreams } from './process-streams.js';

/**
 * The kernel's names of a process's pipes (`pipe:[INODE]` in /proc/<pid>/fd), by which a restarted agent finds them.
 */
export type PipeInodes = readonly [stdin: number, stdout: number, stderr: number];

/** Streams before their process has started: one end for the runtime, one for the agent. */
export interface PreparedStreams {
  readonly stdio: Stdio;
  /** Undefined with a terminal. */
  readonly pipes?: PipeInodes;
  /** Called when the process has its ends: returns streams of the agent's ends. */
  readonly attach: () => ProcessStreams;
  /** Called when no process will be started. */
  readonly discard: () => void;
}

export interface StreamLimits {
  /** Bytes buffered per output stream before its pipe is no longer read. */
  readonly streamBuffer: number;
}

/** The parts of the guest's context that streams need. */
export interface StreamOptions {
  readonly syscalls: Syscalls;
  readonly paths: GuestPaths;
  readonly limits: StreamLimits;
  readonly output: OutputPolicy;
  readonly pipeSize: number;
}
