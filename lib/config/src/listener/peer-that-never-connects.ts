import type { PeerList } from '../listener.js';
import { isCertificatePeer } from '../value-types/peers.js';
import type { Relay } from './relay.js';

/** The forms of peers that connect to a kind of address. */
interface Place {
  readonly name: string;
  readonly fits: (peer: string) => boolean;
  readonly help: string;
}

function placeOf(address: string, relay: Relay): Place {
  const certificates =
    'name certificates: "uri:spiffe://example/ops/*", "cn:auditor", or "*" for all of the CA';
  if (address.startsWith('tls:')) return { name: 'tls://', fits: isCertificatePeer, help: certificates };
  if (address.startsWith('https:'))
    return relay === 'trusted'
      ? {
          name: 'https:// with relay = "trusted", where the server makes all calls',
          fits: () => false,
          help: 'remove peers: server_ca, the name in the address, and pins decide about the server',
        }
      : { name: 'https:// with relay = "operator-tls"', fits: isCertificatePeer, help: certificates };
  const vsock = address.startsWith('vsock:');
  const kind = vsock ? 'cid:' : 'uid:';
  return {
    name: vsock ? 'vsock' : 'a unix socket',
    fits: (peer) => peer === 'host' || peer === 'any' || peer.startsWith(kind),
    help: vsock ? 'name a CID: "cid:2" is the host' : 'name a user: "uid:0" is root',
  };
}

/**
 * Finds a peer that never connects to an address: a CID applies to vsock, a uid to unix sockets, a name to TLS.
 *
 * @param relay of an `https://` address; without effect at others.
 */
export function peerThatNeverConnects(
  address: string,
  relay: Relay,
  peers: PeerList,
): { readonly message: string; readonly help: string } | undefined {
  const { name, fits, help } = placeOf(address, relay);
  const strange = peers.find((peer) => !fits(peer));
  return strange === undefined ? undefined : { message: `"${strange}" never connects to ${name}`, help };
}
