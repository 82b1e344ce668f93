import { Health } from '@kata-agent/protocol/health';
import { type Channel, createClient } from '@kata-agent/ttrpc';
import { hasTooManyCalls } from './too-many-calls.js';

/** Reports whether a guest answers a call in this connection within a time. Never rejects. */
export async function isResponsive(channel: Channel, timeoutMs: number): Promise<boolean> {
  try {
    await createClient(Health, channel).check({}, { timeoutMs });
    return true;
  } catch (error) {
    return hasTooManyCalls(error);
  }
}
