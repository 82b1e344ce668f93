import type { Configuration } from '@kata-agent/config';
import type { Syscalls } from '@kata-agent/linux';
import type { Log } from '../log.js';
import type { LogStream } from '../side-channels/log-stream.js';
import type { DevelopmentFlags } from '../startup/development-flags.js';
import type { Shutdown } from '../startup/shutdown.js';

/** What every phase of the agent's start gets. */
export interface AgentStart {
  readonly configuration: Configuration;
  readonly syscalls: Syscalls;
  readonly log: Log;
  readonly logStream: LogStream;
  readonly isFirstProcess: boolean;
  readonly flags: DevelopmentFlags;
  /** Receives the function that ends the agent in order, as soon as there is anything to end. */
  readonly onStop: (end: (reason: string) => void) => void;
  /** Receives the end of each part, at once. */
  readonly shutdown: Shutdown;
}
