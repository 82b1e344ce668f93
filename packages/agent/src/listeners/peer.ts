import type { ListenerSettings } from '@kata-agent/config';
import type { PeerFacts } from '@kata-agent/gate';
import { Cid, type PeerCredentials, type VsockAddress } from '@kata-agent/linux';
import type { Caller } from './caller.js';

/** The other end of a unix socket, for the record and for rules. */
export function unixPeer({ pid, uid }: PeerCredentials): Pick<Caller, 'peer' | 'identity'> {
  return { peer: `pid ${pid} uid ${uid}`, identity: { kind: 'unix', uid } };
}

/** The other end of a vsock connection. Its port is of its own choice and says nothing. */
export function vsockPeer({ cid }: VsockAddress): Pick<Caller, 'peer' | 'identity'> {
  return { peer: `cid ${cid}`, identity: { kind: 'vsock', cid } };
}

/**
 * Whether a listener is for a peer. `host` is CID 2 on vsock; on a unix socket it is root, and the user that the agent
 * runs as, who could read its memory anyway.
 */
export function isWelcome(peers: readonly string[], { cid, uid }: PeerFacts): boolean {
  return peers.some((entry) => {
    if (entry === 'any') return true;
    if (entry === 'host') return cid === Cid.Host || uid === 0 || (uid !== undefined && uid === ownUid());
    return (cid !== undefined && entry === `cid:${cid}`) || (uid !== undefined && entry === `uid:${uid}`);
  });
}

/** The peers that a listener is for, as far as they can be named before they come. */
export function expectedPeers({ address, peers }: ListenerSettings): readonly PeerFacts[] {
  const kind = address.startsWith('vsock:') ? 'vsock' : 'unix';
  return peers.map((entry) => {
    if (entry === 'host') return kind === 'vsock' ? { kind, cid: Cid.Host } : { kind, uid: 0 };
    const [what, number] = entry.split(':');
    if (what === 'cid') return { kind, cid: Number(number) };
    return what === 'uid' ? { kind, uid: Number(number) } : { kind };
  });
}

function ownUid(): number | undefined {
  return process.geteuid?.();
}
