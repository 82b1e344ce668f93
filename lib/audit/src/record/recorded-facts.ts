import type { RequestFacts } from '@kata-agent/catalogue';
import { type Bounds, bounded } from './bounded.js';
import type { RecordedFacts } from './record.js';

/** Larger than for other parts, because configurations are learned from facts. */
const bounds: Bounds = { bytes: 16_384, text: 512 };

/**
 * Returns the facts of a request as written, and nothing else. A request may be as long as a frame, a record may not:
 * omissions are marked with `cut`, so that a reader does not take the rest for the whole.
 */
export function recordedFacts(facts: RequestFacts): RecordedFacts {
  const {
    command,
    arguments: args,
    environment,
    cwd,
    user,
    terminal,
    capabilities,
    mounts,
    storages,
    devices,
  } = facts;
  const { image, path, signal } = facts;
  const recorded: RequestFacts = {
    ...(command !== undefined && { command }),
    ...(cwd !== undefined && { cwd }),
    ...(user !== undefined && { user }),
    ...(terminal !== undefined && { terminal }),
    ...(image !== undefined && { image }),
    ...(path !== undefined && { path }),
    ...(signal !== undefined && { signal }),
    ...(args !== undefined && { arguments: args }),
    ...(environment !== undefined && { environment }),
    ...(capabilities !== undefined && { capabilities }),
    ...(mounts !== undefined && { mounts }),
    ...(storages !== undefined && { storages }),
    ...(devices !== undefined && { devices }),
  };
  return bounded(recorded, bounds);
}
