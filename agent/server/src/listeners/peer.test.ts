import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { expectedPeers, isWelcome, unixPeer, vsockPeer } from './peer.js';

describe('the peers of a listener (S24)', () => {
  it('host is CID 2 on vsock, and no container', () => {
    assert.ok(isWelcome([['host']], { kind: 'vsock', cid: 2 }));
    assert.ok(!isWelcome([['host']], { kind: 'vsock', cid: 1 }));
    assert.ok(!isWelcome([['host']], { kind: 'vsock', cid: 3 }));
  });

  it("host is root on a unix socket, and the agent's own user", () => {
    const own = process.geteuid?.() ?? 0;
    assert.ok(isWelcome([['host']], { kind: 'unix', uid: 0 }));
    assert.ok(isWelcome([['host']], { kind: 'unix', uid: own }));
    assert.ok(!isWelcome([['host']], { kind: 'unix', uid: own + 1 }));
    assert.ok(!isWelcome([['host']], { kind: 'unix' }), 'an unknown peer is not the host');
  });

  it('a single peer is matched exactly by number', () => {
    assert.ok(isWelcome([['cid:3', 'uid:1000']], { kind: 'unix', uid: 1000 }));
    assert.ok(isWelcome([['cid:3', 'uid:1000']], { kind: 'vsock', cid: 3 }));
    assert.ok(!isWelcome([['uid:1000']], { kind: 'unix', uid: 100 }));
    assert.ok(!isWelcome([['uid:3']], { kind: 'vsock', cid: 3 }), 'a number of another kind');
  });

  it('any matches every peer, an empty list none', () => {
    assert.ok(isWelcome([['any']], { kind: 'unix', uid: 65_534 }));
    assert.ok(!isWelcome([[]], { kind: 'unix', uid: 0 }));
  });

  it('must match every list, of which each document can have one (S25)', () => {
    const lists = [['any'], ['host', 'uid:7'], ['uid:7', 'uid:8']];
    assert.ok(isWelcome(lists, { kind: 'unix', uid: 7 }));
    assert.ok(!isWelcome(lists, { kind: 'unix', uid: 8 }));
    assert.ok(!isWelcome(lists, { kind: 'unix', uid: 0 }));
    assert.deepEqual(expectedPeers({ address: 'unix:///x', peers: lists }), [{ kind: 'unix', uid: 7 }]);
    assert.ok(isWelcome([['any'], ['host']], { kind: 'vsock', cid: 2 }));
    assert.ok(!isWelcome([['any'], ['host']], { kind: 'vsock', cid: 3 }));
  });

  it('can be listed before they connect', () => {
    const listener = { address: 'unix:///x', peers: [['host', 'uid:7', 'any']] };
    assert.deepEqual(expectedPeers(listener), [
      { kind: 'unix', uid: 0 },
      { kind: 'unix', uid: 7 },
      { kind: 'unix' },
    ]);
    assert.deepEqual(expectedPeers({ address: 'vsock://-1:1024', peers: [['host', 'cid:9']] }), [
      { kind: 'vsock', cid: 2 },
      { kind: 'vsock', cid: 9 },
    ]);
  });

  it('have names for rules and for records', () => {
    assert.deepEqual(unixPeer({ pid: 812, uid: 5, gid: 6 }), {
      peer: 'pid 812 uid 5',
      identity: { kind: 'unix', uid: 5 },
    });
    assert.deepEqual(vsockPeer({ cid: 2, port: 4_000 }), {
      peer: 'cid 2',
      identity: { kind: 'vsock', cid: 2 },
    });
  });
});
