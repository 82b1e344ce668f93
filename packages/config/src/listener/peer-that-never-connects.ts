import type { PeerList } from '../configuration.js';

/** Finds a peer that never connects to an address: a CID applies to vsock, a uid to unix sockets. */
export function peerThatNeverConnects(
  address: string,
  peers: PeerList,
): { readonly message: string; readonly help: string } | undefined {
  const [where, kind] = address.startsWith('vsock:') ? ['vsock', 'uid:'] : ['a unix socket', 'cid:'];
  const strange = peers.find((peer) => peer.startsWith(kind));
  if (strange === undefined) return undefined;
  return {
    message: `"${strange}" never connects to ${where}`,
    help: kind === 'uid:' ? 'name a CID: "cid:2" is the host' : 'name a user: "uid:0" is root',
  };
}
