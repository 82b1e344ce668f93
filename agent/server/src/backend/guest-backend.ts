import { Guest, type OutputPolicy, shutDown } from '@kata-agent/guest';
import { AgentService } from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import { service } from '@kata-agent/ttrpc';
import { ModuleLock } from '../init/module-lock.js';
import { execDefaults } from '../interceptors/exec-defaults.js';
import { translateFailures } from '../interceptors/failures.js';
import type { Caller } from '../caller/caller.js';
import { presentContainers } from '../policy/present-containers.js';
import { bind } from '../services/bind.js';
import type { Services } from '../services/handler.js';
import { health } from '../services/health.js';
import { CannotApply } from '../cannot-apply.js';
import { guestOptions } from './guest-options.js';
import { loadMemoryAgent } from './load-memory-agent.js';
import { demandRuntime, findRuntime, type OciRuntime } from './oci-runtime.js';
import type { Backend, BackendSettings, BackendDependencies, PreparedBackend } from './backend.js';

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
    containers: () => guest.containers.size,
    present: () => presentContainers(guest),
    complete: execDefaults(guest),
    around: translateFailures,
    services: (authorize) => [
      service(AgentService, bind(services, authorize)),
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
