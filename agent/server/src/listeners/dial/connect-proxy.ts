import type { Socket } from 'node:net';
import type { DialAddress, ProxyAddress } from '@kata-agent/config';
import { connectProxy as connectThroughProxy, ProxyError } from '@kata-agent/linux';
import { DialFailure } from './dial-failure.js';

/** Connects to a server through a proxy. Ends when the signal aborts. Rejects with a DialFailure, not refused. */
export async function connectProxy(
  proxy: ProxyAddress,
  { host, port }: Pick<DialAddress, 'host' | 'port'>,
  signal: AbortSignal,
): Promise<Socket> {
  try {
    return await connectThroughProxy(proxy, { host, port }, signal);
  } catch (error) {
    if (error instanceof ProxyError) throw new DialFailure(error.message, { refused: false });
    throw error;
  }
}
