import type { RequestFacts, RequestSummary } from '@kata-agent/catalogue';
import { bounded, type Bounds } from './written.js';
import type { RecordedFacts, RecordedRequest } from './record.js';

/** Larger than for other parts, because configurations are learned from facts. */
const factBounds: Bounds = { bytes: 16_384, text: 512 };

/**
 * The create of an ordinary pod takes two thirds of it. It is also written to `FILE.kept`, which has space for few long
 * records.
 */
const requestBounds: Bounds = { bytes: 4096, text: 256 };

/** Returns the summary of a request within the limits of a record, marked as cut when part of it is missing. */
export function recordedRequest(summary: RequestSummary): RecordedRequest {
  return bounded(summary, requestBounds);
}

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
  return bounded(recorded, factBounds);
}
