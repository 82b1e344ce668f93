import type { Configuration } from '@kata-agent/config';
import type { ImagePuller } from '@kata-agent/guest';
import type { Syscalls } from '@kata-agent/linux';
import type { GuestComponents } from '../components/load-guest-components.js';
import type { Log } from '../log.js';

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
  const { makeBuiltInPuller } = await import('./make-built-in-puller.js');
  return makeBuiltInPuller(configuration, parts);
}
