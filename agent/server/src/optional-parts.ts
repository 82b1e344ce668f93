import type { Configuration } from '@kata-agent/config';
import type { ImagePuller } from '@kata-agent/guest';
import type { Syscalls } from '@kata-agent/linux';
import type { GuestComponents } from './components/load-guest-components.js';
import { loadRegisters } from './measurement/measure.js';
import type { Attester, AttesterEnvironment } from './evidence/attester.js';
import type { Log } from './log.js';
import type { CheckpointEnvironment, CheckpointRegister } from './measurement/checkpoint-register.js';
import type { Witnesses, WitnessesOptions } from './witnesses/witnesses.js';
import type { TlsListeners } from './listeners/tls/tls-listeners.js';

// Parts of the agent whose code is loaded only if the configuration asks for them. guest-image/bundle/src/optional-parts.ts has their modules,
// which a bundle must not load at the start. Backends and guest components choose their code themselves (backend/backend.ts,
// components/load-guest-components.ts).

/**
 * Loads TLS and makes the agent's key, if the configuration has a `tls://` or `https://` listener: both cost time and memory.
 * The certificate is valid from the floor of the clock on, in milliseconds since 1970; without a document there is neither a
 * floor nor such a listener.
 */
export async function loadTls(
  { listeners }: Pick<Configuration, 'listeners'>,
  clockFloor: number | undefined,
): Promise<TlsListeners | undefined> {
  if (clockFloor === undefined) return undefined;
  if (listeners.every(({ tls, dial }) => tls === undefined && dial === undefined)) return undefined;
  const { TlsListeners } = await import('./listeners/tls/tls-listeners.js');
  return TlsListeners.create(clockFloor);
}

/**
 * Loads evidence if the configuration has sources of it: an agent without needs no memory for it. Undefined: there is none.
 *
 * @throws CannotApply as `openAttester`.
 */
export async function loadAttester(
  configuration: Configuration,
  environment: AttesterEnvironment,
): Promise<Attester | undefined> {
  if (configuration.evidence.sources.length === 0) return undefined;
  const { openAttester } = await import('./evidence/attester.js');
  return openAttester(configuration, { ...environment, registers: await loadRegisters(configuration) });
}

/** Opens the register of checkpoints; its code is loaded only if the configuration has one. @throws CannotApply as `openCheckpointRegister` */
export async function loadCheckpointRegister(
  configuration: Configuration,
  environment: CheckpointEnvironment,
): Promise<CheckpointRegister | undefined> {
  const { checkpointPcr } = configuration.measurement;
  if (checkpointPcr === 'off') return undefined;
  const { openCheckpointRegister } = await import('./measurement/checkpoint-register.js');
  return openCheckpointRegister(checkpointPcr, configuration, environment);
}

/** Loads the witnesses of the audit log, if the configuration has any: they cost memory. */
export async function loadWitnesses(options: WitnessesOptions): Promise<Witnesses | undefined> {
  if (options.configuration.witnesses.length === 0) return undefined;
  const { Witnesses } = await import('./witnesses/witnesses.js');
  return new Witnesses(options);
}

/** What the built-in puller uses of the agent. */
export interface PullerParts {
  readonly syscalls: Syscalls;
  readonly components: Pick<GuestComponents, 'dataHub' | 'missing'>;
  readonly log: Log;
}

/** Returns the built-in puller, whose code is loaded only if the configuration chooses it. @throws CannotApply */
export async function loadBuiltInPuller(
  configuration: Configuration,
  parts: PullerParts,
): Promise<ImagePuller | undefined> {
  if (configuration.image.puller !== 'built-in') return undefined;
  const { makeBuiltInPuller } = await import('./image/make-built-in-puller.js');
  return makeBuiltInPuller(configuration, parts);
}
