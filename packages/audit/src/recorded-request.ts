import type { RequestSummary } from '@kata-agent/gate';
import { type Bounds, bounded } from './bounded.js';
import type { RecordedRequest } from './record.js';

/** A create of an ordinary pod has two thirds of that. It is in `FILE.kept` as well, which has room for few long ones. */
const bounds: Bounds = { bytes: 4096, text: 256 };

/** The summary of a request in the bounds of a record; with the mark `cut` where something is missing. */
export function recordedRequest(summary: RequestSummary): RecordedRequest {
  return bounded(summary, bounds);
}
