import type { ListenerSettings } from '@kata-agent/config';
import type { RulePeer } from '@kata-agent/gate';
import { Cid, type PeerCredentials, type VsockAddress } from '@kata-agent/linux';
import type { Caller } from './caller.js';

/** The peer of a unix socket, for records and for rules. */
export function unixPeer({ pid, uid }: PeerCredentials): Pick<Caller, 'peer' | 'identity'> {
  return { peer: `pid ${pid} uid ${uid}`, identity: { kind: 'unix', uid } };
}

/** The peer of a vsock connection. The peer chooses its port, which carries no information. */
export function vsockPeer({ cid }: VsockAddress): Pick<Caller, 'peer' | 'identity'> {
  return { peer: `cid ${cid}`, identity: { kind: 'vsock', cid } };
}

/**
 * Reports whether a listener accepts a peer. `host` is CID 2 on vsock; on a unix socket it is root, and the agent's own
 * user, who can read the agent's memory anyway.
 */
export function isWelcome(peers: readonly string[], { cid, uid }: RulePeer): boolean {
  return peers.some((entry) => {
    if (entry === 'any') return true;
    if (entry === 'host') return cid === Cid.Host || uid === 0 || (uid !== undefined && uid === ownUid());
    return (cid !== undefined && entry === `cid:${cid}`) || (uid !== undefined && entry === `uid:${uid}`);
  });
}

/** Returns the peers of a listener that are known before they connect. */
export function expectedPeers({ address, peers }: ListenerSettings): readonly RulePeer[] {
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
