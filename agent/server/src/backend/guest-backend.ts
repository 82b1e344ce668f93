import type { PresentContainer } from '@kata-agent/audit';
import type { Configuration } from '@kata-agent/config';
import { claimedNames } from '@kata-agent/gate';
import { Guest, type GuestOptions, type OutputPolicy, shutDown } from '@kata-agent/guest';
import type { Syscalls } from '@kata-agent/linux';
import { AgentService } from '@kata-agent/protocol/agent';
import { Health, HealthCheckResponse_ServingStatus } from '@kata-agent/protocol/health';
import { service, type ServiceImplementation } from '@kata-agent/ttrpc';
import { ModuleLock } from '../init/modules.js';
import { execDefaults } from '../interceptors/normalize-requests.js';
import { translateFailures } from '../interceptors/translate-failures.js';
import type { Caller } from '../caller.js';
import { bind } from '../services/bind.js';
import type { Services } from '../services/handler.js';
import { CannotApply } from '../cannot-apply.js';
import type { GuestComponents } from '../components/load-guest-components.js';
import { clockFloor } from '../startup/clock-floor.js';
import { guestAccess } from '../startup/guest-access.js';
import type { Log } from '../log.js';
import { isBootedWithSystemd } from '../startup/systemd.js';
import { sandboxClaim } from '../state/state-directory.js';
import { version } from '../version.js';
import { loadMemoryAgent } from './memory-agent.js';
import { demandRuntime, findRuntime, type OciRuntime } from './oci-runtime.js';
import type { Backend, BackendSettings, BackendDependencies, PreparedBackend } from './backend.js';

/** The ttRPC API version that Kata's agent always reports. */
const grpcVersion = '0.0.1';

/** The health service. It is never gated: it reveals nothing and changes nothing. */
const health: ServiceImplementation<typeof Health, Caller> = {
  check: async () => ({ status: HealthCheckResponse_ServingStatus.SERVING }),
  version: async () => ({ grpcVersion, agentVersion: version }),
};

/** Finds the OCI runtime; the guest is opened later. */
export function prepareGuest(settings: BackendSettings): PreparedBackend {
  const { configuration, log, state } = settings;
  const runtime = findRuntime(configuration.settings.ociRuntime, {
    environment: process.env,
    cgroup: '/sys/fs/cgroup',
    state,
  });
  if (runtime.instead !== undefined) log('warn', `the OCI runtime is ${runtime.path}: ${runtime.instead}`);
  return {
    facts: { ociRuntime: { path: runtime.path, instead: runtime.instead } },
    open: (surroundings) => openGuest(runtime, settings, surroundings),
  };
}

async function openGuest(
  runtime: OciRuntime,
  { configuration, components, images, syscalls, log, state, isFirstProcess, hardens }: BackendSettings,
  { policy, savedPolicies, readers, sideChannels, end }: BackendDependencies,
): Promise<Backend> {
  const servesContainers = configuration.listeners.some(({ name }) =>
    policy.served(name).includes('CreateContainer'),
  );
  demandRuntime(runtime, { isFirstProcess, servesContainers });
  const readable: OutputPolicy['readable'] = (stream) => readers.mayRead(stream, guest);
  const guest = await Guest.open(
    guestOptions(configuration, { syscalls, runtime, readable, components, images, state, log }),
  ).catch((error: Error) => {
    throw new CannotApply(`the guest cannot be started: ${error.message}`, { cause: error });
  });
  const memoryAgent = await loadMemoryAgent(configuration, guest);
  return guestBackend({
    guest,
    policy,
    runtimeListener: configuration.listeners[0]?.name,
    savedPolicies,
    memoryAgent,
    stdioPorts: sideChannels.stdio,
    moduleLock: hardens ? new ModuleLock({ log }) : undefined,
    end,
  });
}

/** Returns the backend of an open guest. */
export function guestBackend(services: Services): Backend {
  const { guest, memoryAgent } = services;
  return {
    status: guest,
    containers: () => guest.listed(),
    present: () => presentContainers(guest),
    complete: execDefaults(guest),
    around: translateFailures,
    services: (authorize) => [
      { ...service(AgentService, bind(services, authorize)), borrowing: ['CopyFile'] },
      service<typeof Health, Caller>(Health, health),
    ],
    listening: () => {
      guest.askRuntime();
      void guest.context.media.prepare();
    },
    left: () => undefined,
    parts: [
      { name: 'guest', end: () => shutDown(guest) },
      { name: 'memory agent', end: async () => memoryAgent?.stop() },
    ],
  };
}

/** Returns the guest's part of the configuration. */
function guestOptions(
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

/** Containers whose creation records are always retained in the audit log. */
function presentContainers(guest: Pick<Guest, 'containers'>): readonly PresentContainer[] {
  return Array.from(guest.containers.values(), ({ id, execs }) => ({
    containerId: id,
    execIds: execs.keys(),
  }));
}
