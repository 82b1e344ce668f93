import type { Syscalls } from '@kata-agent/linux';
import type { GuestLimits, GuestPaths, OutputPolicy } from '../context/guest-options.js';
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

/** The parts of the guest's context that streams need. */
export interface StreamOptions {
  readonly syscalls: Syscalls;
  readonly paths: GuestPaths;
  readonly limits: GuestLimits;
  readonly output: OutputPolicy;
  readonly pipeSize: number;
}
