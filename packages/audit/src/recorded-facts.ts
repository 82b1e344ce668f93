import type { RequestFacts } from '@kata-agent/gate';
import { type Bounds, bounded } from './bounded.js';
import type { RecordedFacts } from './record.js';

/** A configuration is learnt from them, so they are longer than what is always recorded. */
const bounds: Bounds = { bytes: 16_384, text: 512 };

/**
 * The facts of a request as they are written, and nothing but these. A request may be as long as a frame, a record may
 * not: what is left out leaves the mark `cut`, so that nobody takes the rest for all.
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
