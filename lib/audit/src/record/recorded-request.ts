import type { RequestSummary } from '@kata-agent/catalogue';
import { type Bounds, bounded } from './bounded.js';
import type { RecordedRequest } from './record.js';

/**
 * The create of an ordinary pod takes two thirds of it. It is also written to `FILE.kept`, which has space for few long
 * records.
 */
const bounds: Bounds = { bytes: 4096, text: 256 };

/** Returns the summary of a request within the limits of a record, marked as cut when part of it is missing. */
export function recordedRequest(summary: RequestSummary): RecordedRequest {
  return bounded(summary, bounds);
}
