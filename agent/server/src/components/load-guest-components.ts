import type { Configuration } from '@kata-agent/config';
import { existsSync } from 'node:fs';
import type { DataHub, ImagePuller } from '@kata-agent/guest';
import type { Log } from '../log.js';
import { builtInPrograms } from './built-in-programs.js';
import { extensionRoot } from './component.js';
import { warnOfMissing } from './warn-of-missing.js';

/** Gets resources of the key broker. */
export interface ResourceSource {
  /** @param name `kbs:///REPOSITORY/TYPE/TAG`. Rejects with a GuestError. */
  resource(name: string, signal: AbortSignal): Promise<Uint8Array>;
}

/** The components of a confidential guest that this agent has started: attestation agent, data hub, REST server. */
export interface GuestComponents {
  /** Their names, in the order in which they were started. */
  readonly started: readonly string[];
  /** The programs that were requested and are missing; then none is started. */
  readonly missing: readonly string[];
  /** Undefined: it was not started. */
  readonly dataHub: (DataHub & ResourceSource) | undefined;
  /** Undefined: none of them pulls images. */
  readonly puller: ImagePuller | undefined;
  /** Where an extension image has the pause container; undefined: the guest image has it. */
  readonly pauseBundle: string | undefined;
  stop(): Promise<void>;
}

const none: GuestComponents = {
  started: [],
  missing: [],
  dataHub: undefined,
  puller: undefined,
  pauseBundle: undefined,
  stop: () => Promise.resolve(),
};

/** Starts the guest components. Their code is loaded only if they are requested, and the guest has any of them. @throws CannotApply */
export async function loadGuestComponents(configuration: Configuration, log: Log): Promise<GuestComponents> {
  const { guestComponentsProcs, forward } = configuration.settings;
  // In forward mode they are the inner agent's.
  if (guestComponentsProcs === 'none' || forward !== undefined) return none;
  const programs = builtInPrograms(guestComponentsProcs);
  const hasNone = !existsSync(extensionRoot) && !programs.some((program) => existsSync(program));
  // Kata's default requests them all, in guests that were not made for them, too.
  if (hasNone && configuration.image.puller !== 'cdh') {
    warnOfMissing(programs, { all: true, values: configuration.values }, log);
    return { ...none, missing: programs };
  }
  const { startGuestComponents } = await import('./guest-components.js');
  return await startGuestComponents(configuration, log);
}
