import type { ListenerSettings, PeerList } from '@kata-agent/config';
import type { RulePeer } from '@kata-agent/gate';
import { Cid, type PeerCredentials, type VsockAddress } from '@kata-agent/linux';
import type { Caller } from '../caller.js';

/** The peer of a unix socket, for records and for rules. */
export function unixPeer({ pid, uid }: PeerCredentials): Pick<Caller, 'peer' | 'identity'> {
  return { peer: `pid ${pid} uid ${uid}`, identity: { kind: 'unix', uid } };
}

/** The peer of a vsock connection. The peer chooses its port, which carries no information. */
export function vsockPeer({ cid }: VsockAddress): Pick<Caller, 'peer' | 'identity'> {
  return { peer: `cid ${cid}`, identity: { kind: 'vsock', cid } };
}

/** Reports whether a listener accepts a peer: it must match each list, of which each document can have one (S25). */
export function isWelcome(lists: readonly PeerList[], peer: RulePeer): boolean {
  return lists.every((list) => matches(list, peer));
}

/** `host` is CID 2 on vsock; on a unix socket it is root, and the agent's own user, who can read the agent's memory anyway. */
function matches(list: PeerList, { cid, uid }: RulePeer): boolean {
  return list.some((entry) => {
    if (entry === 'any') return true;
    if (entry === 'host') return cid === Cid.Host || uid === 0 || (uid !== undefined && uid === ownUid());
    return (cid !== undefined && entry === `cid:${cid}`) || (uid !== undefined && entry === `uid:${uid}`);
  });
}

/** Returns the peers of a listener that are known before they connect. */
export function expectedPeers({
  address,
  peers,
}: Pick<ListenerSettings, 'address' | 'peers'>): readonly RulePeer[] {
  const kind = address.startsWith('vsock:') ? 'vsock' : 'unix';
  const named = new Set(peers.flat());
  return [...named].map((entry) => peerOf(kind, entry)).filter((peer) => isWelcome(peers, peer));
}

function peerOf(kind: 'vsock' | 'unix', entry: string): RulePeer {
  if (entry === 'host') return kind === 'vsock' ? { kind, cid: Cid.Host } : { kind, uid: 0 };
  const [what, number] = entry.split(':');
  if (what === 'cid') return { kind, cid: Number(number) };
  return what === 'uid' ? { kind, uid: Number(number) } : { kind };
}

/** Describes the lists of a listener: `["host"]`, or `["any"] and ["uid:0"]`. */
export function describePeers(lists: readonly PeerList[]): string {
  return lists.map((list) => JSON.stringify(list)).join(' and ');
}

function ownUid(): number | undefined {
  return process.geteuid?.();
}
