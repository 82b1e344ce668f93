import type { Configuration } from '@kata-agent/config';
import type { GuestOptions } from '@kata-agent/guest';
import type { Syscalls } from '@kata-agent/linux';
import type { Log } from './log.js';
import { findRuntime } from './oci-runtime.js';
import type { Policy } from './policy.js';

/** What the guest is told of the configuration. */
export function guestOptions(
  { settings, limits, api }: Configuration,
  { syscalls, policy, log }: { readonly syscalls: Syscalls; readonly policy: Policy; readonly log: Log },
): GuestOptions {
  return {
    syscalls,
    runtime: settings.ociRuntime ?? findRuntime(process.env),
    pipeSize: settings.containerPipeSize,
    hooks: settings.hooks,
    limits: {
      containers: limits.containers,
      execsPerContainer: limits.execsPerContainer,
      streamBuffer: limits.streamBuffer,
    },
    output: {
      readable: (stream) => policy.servedToAnyone(stream === 'stdout' ? 'ReadStdout' : 'ReadStderr'),
      unreadable: api.deniedOutput === 'discard' ? 'discard' : { bytes: api.deniedOutput },
    },
    log,
  };
}
