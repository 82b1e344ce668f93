import type { Configuration } from '@kata-agent/config';
import { claimedNames } from '@kata-agent/gate';
import type { DataHub, GuestOptions, OutputPolicy } from '@kata-agent/guest';
import type { Syscalls } from '@kata-agent/linux';
import { clockFloor } from './clock-floor.js';
import { guestAccess } from './guest-access.js';
import type { Log } from './log.js';
import { isBootedWithSystemd } from './systemd.js';
import type { OciRuntime } from './oci-runtime.js';
import { sandboxClaim } from '../state/sandbox-claim.js';

/** Returns the guest's part of the configuration. */
export function guestOptions(
  configuration: Configuration,
  {
    syscalls,
    runtime,
    readable,
    dataHub,
    state,
    log,
  }: {
    readonly syscalls: Syscalls;
    readonly runtime: OciRuntime;
    readonly readable: OutputPolicy['readable'];
    /** Undefined: the guest has none. */
    readonly dataHub: DataHub | undefined;
    /** The state directory. */
    readonly state: string;
    readonly log: Log;
  },
): GuestOptions {
  const { settings, limits, api, documents } = configuration;
  return {
    syscalls,
    paths: { state },
    claim: sandboxClaim(syscalls),
    runtime: runtime.path,
    systemd: isBootedWithSystemd(),
    pipeSize: settings.containerPipeSize,
    hotplugTimeout: settings.hotplugTimeout,
    cdi: { timeoutSeconds: settings.cdiTimeout, visibleDevices: settings.visibleCdiDevices },
    namesOf: claimedNames,
    hooks: settings.hooks,
    dataHub,
    access: guestAccess({ settings, documents }),
    clockFloor: clockFloor(configuration),
    limits: {
      containers: limits.containers,
      execsPerContainer: limits.execsPerContainer,
      streamBuffer: limits.streamBuffer,
    },
    output: {
      readable,
      unreadable: api.deniedOutput === 'discard' ? 'discard' : { bytes: api.deniedOutput },
    },
    log,
  };
}
