import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { Relay } from '@kata-agent/protocol/relay';
import { createClient } from '@kata-agent/ttrpc';
import type { Guest } from './guest.js';
import type { Rendezvous } from './rendezvous.js';

const usualTimeoutMs = 15_000;

/**
 * Asks a guest for one more connection, for one operator, and returns it: what is in it is TLS, of which the guest is the
 * server. Rejects with a TtrpcError of the guest, the reason of the signal, or an Error after the timeout; whatever was
 * opened is closed then.
 */
export async function openConnection(
  rendezvous: Rendezvous,
  { id, channel }: Pick<Guest, 'id' | 'channel'>,
  { timeoutMs = usualTimeoutMs, signal }: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
): Promise<Duplex> {
  const token = randomBytes(32);
  const failed = new AbortController();
  const either = signal === undefined ? failed.signal : AbortSignal.any([failed.signal, signal]);
  const connection = rendezvous.expect(id, token.toString('hex'), timeoutMs, either);
  const call = createClient(Relay, channel).openConnection({ token }, { timeoutMs, signal: either });
  try {
    const [stream] = await Promise.all([connection, call]);
    return stream;
  } catch (error) {
    failed.abort(error);
    void connection.then(
      (stream) => stream.destroy(),
      () => undefined,
    );
    void call.catch(() => undefined);
    throw signal?.aborted === true ? signal.reason : error;
  }
}
