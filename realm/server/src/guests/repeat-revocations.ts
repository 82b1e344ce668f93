import { inParallel } from '@kata-agent/base';
import { Management } from '@kata-agent/protocol/management';
import { type Channel, createClient, TtrpcError, codeName } from '@kata-agent/ttrpc';
import type { RevokedPeer } from '../store/revocations.js';

/** Calls under way at once. */
const atOnce = 64;

/**
 * Says revocations to a guest, which has forgotten them with its last boot. Throws an Error if the guest does not accept
 * one: a revoked operator could call it.
 */
export async function repeatRevocations(
  channel: Channel,
  revocations: readonly RevokedPeer[],
  timeoutMs: number,
): Promise<void> {
  const management = createClient(Management, channel);
  await inParallel(revocations, atOnce, async ({ peer, serial, issuer }) => {
    await management.revokePeer({ peer, serial, issuer }, { timeoutMs });
  }).catch((error: unknown) => {
    const why = error instanceof TtrpcError ? codeName(error.code) : String(error);
    throw new Error(`it does not accept the revocations of its entry (${why})`, { cause: error });
  });
}
