import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { expectedPeers, isWelcome, unixPeer, vsockPeer } from './peer.js';

describe('whom a listener is for (S24)', () => {
  it('host is CID 2 on vsock, and no container', () => {
    assert.ok(isWelcome(['host'], { kind: 'vsock', cid: 2 }));
    assert.ok(!isWelcome(['host'], { kind: 'vsock', cid: 1 }));
    assert.ok(!isWelcome(['host'], { kind: 'vsock', cid: 3 }));
  });

  it('host is root on a unix socket, and the user that the agent runs as', () => {
    const own = process.geteuid?.() ?? 0;
    assert.ok(isWelcome(['host'], { kind: 'unix', uid: 0 }));
    assert.ok(isWelcome(['host'], { kind: 'unix', uid: own }));
    assert.ok(!isWelcome(['host'], { kind: 'unix', uid: own + 1 }));
    assert.ok(!isWelcome(['host'], { kind: 'unix' }), 'who is not known is not the host');
  });

  it('single peers by number, exactly', () => {
    assert.ok(isWelcome(['cid:3', 'uid:1000'], { kind: 'unix', uid: 1000 }));
    assert.ok(isWelcome(['cid:3', 'uid:1000'], { kind: 'vsock', cid: 3 }));
    assert.ok(!isWelcome(['uid:1000'], { kind: 'unix', uid: 100 }));
    assert.ok(!isWelcome(['uid:3'], { kind: 'vsock', cid: 3 }), 'a number of another kind');
  });

  it('any is everyone, an empty list is nobody', () => {
    assert.ok(isWelcome(['any'], { kind: 'unix', uid: 65_534 }));
    assert.ok(!isWelcome([], { kind: 'unix', uid: 0 }));
  });

  it('can be named before they come', () => {
    const listener = { name: 'l', address: 'unix:///x', peers: ['host', 'uid:7', 'any'] };
    assert.deepEqual(expectedPeers(listener), [
      { kind: 'unix', uid: 0 },
      { kind: 'unix', uid: 7 },
      { kind: 'unix' },
    ]);
    assert.deepEqual(expectedPeers({ name: 'l', address: 'vsock://-1:1024', peers: ['host', 'cid:9'] }), [
      { kind: 'vsock', cid: 2 },
      { kind: 'vsock', cid: 9 },
    ]);
  });

  it('is told to rules and to the record', () => {
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
