import type { Configuration } from '@kata-agent/config';
import { claimedNames } from '@kata-agent/gate';
import type { GuestOptions, OutputPolicy } from '@kata-agent/guest';
import type { Syscalls } from '@kata-agent/linux';
import type { GuestComponents } from '../components/load-guest-components.js';
import { clockFloor } from '../startup/clock-floor.js';
import { guestAccess } from '../startup/guest-access.js';
import type { Log } from '../log.js';
import { isBootedWithSystemd } from '../startup/systemd.js';
import type { OciRuntime } from './oci-runtime.js';
import { sandboxClaim } from '../state/sandbox-claim.js';

/** Returns the guest's part of the configuration. */
export function guestOptions(
  configuration: Configuration,
  {
    syscalls,
    runtime,
    readable,
    components: { dataHub, pauseBundle },
    images,
    state,
    log,
  }: {
    readonly syscalls: Syscalls;
    readonly runtime: OciRuntime;
    readonly readable: OutputPolicy['readable'];
    readonly components: Pick<GuestComponents, 'dataHub' | 'pauseBundle'>;
    readonly images: GuestOptions['images'];
    /** The state directory. */
    readonly state: string;
    readonly log: Log;
  },
): GuestOptions {
  const { settings, limits, api } = configuration;
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
    hostAliases: configuration.documents.length === 0 ? undefined : settings.hostAliases,
    mountsWithoutLinks: settings.nosymfollow.map(mountOfContainer),
    imageVolumes: settings.imageVolumes.map(mountOfContainer),
    idsOnce: configuration.documents.length > 0,
    secrets: configuration.documents.length === 0 ? undefined : configuration.secrets,
    images,
    pauseBundle,
    verifiedLayers: configuration.image.layers === 'verified',
    access: guestAccess(configuration),
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

/** `CONTAINER=MOUNT POINT`. */
function mountOfContainer(text: string): { readonly container: string; readonly path: string } {
  const at = text.indexOf('=');
  return { container: text.slice(0, at), path: text.slice(at + 1) };
}
