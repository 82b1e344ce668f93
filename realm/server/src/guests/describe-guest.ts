import { Management } from '@kata-agent/protocol/management';
import { type Channel, Code, createClient, TtrpcError } from '@kata-agent/ttrpc';
import type { GuestDescription } from '../guest.js';

const longest = 128;

/**
 * Asks a guest what it is. Undefined: its listener does not serve Describe. Throws a TtrpcError, or an Error if the answer
 * cannot be one of an agent.
 */
export async function describeGuest(
  channel: Channel,
  timeoutMs: number,
): Promise<GuestDescription | undefined> {
  try {
    const reply = await createClient(Management, channel).describe({}, { timeoutMs });
    const { version, bootId, configurationDigest } = reply;
    if (![version, bootId].every((text) => text.length <= longest && /^[\x20-\x7e]*$/.test(text)))
      throw new Error('its answer to Describe has an invalid version or boot id');
    const digest = configurationDigest.replace(/^(?=[0-9a-f]{64}$)/, 'sha256:');
    if (!/^sha256:[0-9a-f]{64}$/.test(digest))
      throw new Error('its answer to Describe has an invalid digest');
    return { version, bootId, configurationDigest: digest };
  } catch (error) {
    if (!(error instanceof TtrpcError)) throw error;
    if (error.code === Code.Unimplemented || error.code === Code.PermissionDenied) return undefined;
    throw error;
  }
}
