import type { PresentContainer } from '@kata-agent/audit';
import type { Configuration } from '@kata-agent/config';
import type { Guest, ImagePuller, ListedContainer } from '@kata-agent/guest';
import type { Syscalls } from '@kata-agent/linux';
import type { ServerInterceptor, ServiceRegistration } from '@kata-agent/ttrpc';
import type { GuestComponents } from '../components/load-guest-components.js';
import type { Authorize } from '../interceptors/evaluate-rules.js';
import type { Caller } from '../caller.js';
import type { ConnectionRecords } from '../listeners/connections.js';
import type { SavedPolicies } from '../policy/set-policy.js';
import type { Policy } from '../policy/policy.js';
import type { GuestStatus } from '../policy/rule-context.js';
import type { Readers } from '../readers.js';
import type { SideChannels } from '../side-channels/side-channels.js';
import type { Log } from '../log.js';

/** What a backend is chosen and prepared from, before the first audit record. */
export interface BackendSettings {
  readonly configuration: Configuration;
  readonly components: Pick<GuestComponents, 'dataHub' | 'pauseBundle'>;
  /** Undefined: the guest pulls no images. */
  readonly images: ImagePuller | undefined;
  readonly syscalls: Syscalls;
  readonly log: Log;
  /** The state directory. */
  readonly state: string;
  readonly isFirstProcess: boolean;
  /** Whether the guest's kernel is hardened. */
  readonly hardens: boolean;
}

/** What a backend is opened with, before any listener. */
export interface BackendDependencies {
  readonly policy: Policy;
  readonly savedPolicies: SavedPolicies;
  readonly readers: Readers;
  readonly sideChannels: Pick<SideChannels, 'stdio'>;
  /** Records of connections that the agent itself makes. */
  readonly records: Pick<ConnectionRecords, 'begin'>;
  /** Ends the agent once running calls are answered. */
  readonly end: () => void;
  /** Call while waiting. @throws Stopped if the end of the agent was requested. */
  readonly check: () => void;
}

/** Executes calls that are authorized and recorded: the guest, or an inner agent (`[agent] forward`). */
export interface Backend {
  /** State for rules, and for the records of reads. */
  readonly status: GuestStatus & Pick<Guest, 'noteReader'>;
  /** The containers that exist; undefined if they are not known. */
  readonly containers: () => readonly ListedContainer[] | undefined;
  /** Containers whose creation records are retained; undefined if they are not known. */
  readonly present: () => readonly PresentContainer[] | undefined;
  /** Completes a request before rules and records see it; absent: nothing is added. */
  readonly complete?: ServerInterceptor<Caller>;
  /** Runs around each handler. */
  readonly around: ServerInterceptor<Caller>;
  /**
   * Registers AgentService and Health.
   *
   * @param authorize decides again about a call that had to wait.
   */
  services(authorize: Authorize): readonly ServiceRegistration<Caller>[];
  /** Called when the agent listens. */
  listening(): void;
  /** A connection has closed. */
  left(caller: Caller): void;
  /** Parts that end with the agent, in the order in which they were started; ended in reverse order. */
  readonly parts: readonly { readonly name: string; readonly end: () => Promise<void> }[];
}

/** A backend that is not open yet. */
export interface PreparedBackend {
  /** Members of the first audit record. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** @throws CannotApply if it is not available. */
  open(surroundings: BackendDependencies): Promise<Backend>;
}

/**
 * Prepares the backend of a configuration. The code of the other one is not loaded: with `forward` the agent needs nothing of
 * the guest's.
 *
 * @throws CannotApply if it cannot work here.
 */
export async function loadBackend(settings: BackendSettings): Promise<PreparedBackend> {
  const { forward } = settings.configuration.settings;
  if (forward !== undefined) {
    const { prepareForward } = await import('../forward/forward-backend.js');
    return prepareForward(forward, settings);
  }
  const { prepareGuest } = await import('./guest-backend.js');
  return prepareGuest(settings);
}
