import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { clientGroup } from './tls-engine.js';
import { type Candidate, Handshakes, WaitingRoom } from './handshakes.js';

class Connection implements Candidate {
  readonly group: string;
  began = false;
  dropped: string | undefined;

  constructor(group: string) {
    this.group = group;
  }

  begin(): void {
    this.began = true;
  }

  drop(reason: string): void {
    this.dropped = reason;
  }
}

const generous = { handshakes: 2, handshakesPerSecond: 1000, handshakeTimeoutMs: 60_000 };

describe('the bounds of handshakes', () => {
  it('at once: the others wait, and the newest is next', () => {
    const handshakes = new Handshakes(generous);
    const all = Array.from({ length: 4 }, () => new Connection('a'));
    for (const each of all) handshakes.add(each);
    assert.deepEqual(
      all.map(({ began }) => began),
      [true, true, false, false],
    );
    handshakes.remove(all[0] as Connection);
    assert.deepEqual(
      all.map(({ began }) => began),
      [true, true, false, true],
    );
    handshakes.remove(all[2] as Connection);
    assert.deepEqual([handshakes.active, handshakes.waiting], [2, 0]);
  });

  it('places are bounded: the oldest of the largest group is dropped', () => {
    const handshakes = new Handshakes(generous);
    const flood = Array.from({ length: 1000 }, () => new Connection('flood'));
    const honest = new Connection('honest');
    for (const each of flood.slice(0, 500)) handshakes.add(each);
    handshakes.add(honest);
    for (const each of flood.slice(500)) handshakes.add(each);
    assert.equal(handshakes.waiting, 64);
    assert.equal(honest.dropped, undefined);
    assert.equal(flood.filter(({ dropped }) => dropped === 'overload').length, 1000 + 1 - 2 - 64);
    handshakes.remove(flood[0] as Connection);
    assert.ok(honest.began, 'the group with the fewest handshakes is next');
  });

  it('a handshake that is slow while others wait loses its place to them', async () => {
    const handshakes = new Handshakes(generous);
    const slow = [new Connection('flood'), new Connection('flood')];
    for (const each of slow) handshakes.add(each);
    const honest = new Connection('honest');
    handshakes.add(honest);
    await sleep(1500);
    assert.ok(!honest.began && slow.every(({ dropped }) => dropped === undefined));
    // The timers do not keep the process alive.
    await sleep(1000);
    assert.ok(honest.began);
    assert.deepEqual(
      slow.map(({ dropped }) => dropped),
      ['timeout', undefined],
    );
  });

  it('one that waits longer than the timeout is dropped', async () => {
    const handshakes = new Handshakes({ ...generous, handshakeTimeoutMs: 50 });
    const all = Array.from({ length: 3 }, () => new Connection('a'));
    for (const each of all) handshakes.add(each);
    await sleep(150);
    assert.deepEqual(
      all.map(({ dropped }) => dropped),
      [undefined, undefined, 'overload'],
    );
    assert.equal(handshakes.waiting, 0);
  });
});

describe('a refused client that cost too much', () => {
  it('closes all connections of its group, and turns it away; others continue', () => {
    const handshakes = new Handshakes({ ...generous, handshakes: 3 });
    const flood = Array.from({ length: 4 }, () => new Connection('flood'));
    const [first, second, third, waiting] = flood;
    assert.ok(first && second && third && waiting);
    for (const each of flood) handshakes.add(each);
    const honest = new Connection('honest');
    handshakes.add(honest);
    handshakes.remove(first, true);
    assert.deepEqual(
      [second, third, waiting].map(({ dropped }) => dropped),
      ['penalty', 'penalty', 'penalty'],
    );
    assert.ok(honest.began);
    const again = new Connection('flood');
    handshakes.add(again);
    assert.equal(again.dropped, 'penalty');
    handshakes.remove(honest, false);
    const other = new Connection('honest');
    handshakes.add(other);
    assert.ok(other.began, 'one that is not costly is no reason');
  });
});

describe('a waiting room', () => {
  it('takes turns between groups', () => {
    const room = new WaitingRoom<string>(10);
    for (const [group, item] of ['a1', 'a2', 'a3', 'b1', 'c1'].map(
      (item) => [item.slice(0, 1), item] as const,
    ))
      room.add(group, item);
    const order = Array.from({ length: 6 }, () => room.next(() => 0));
    assert.deepEqual(order, ['a3', 'b1', 'c1', 'a2', 'a1', undefined]);
    assert.equal(room.size, 0);
  });
});

describe('the group of an address', () => {
  it('is loopback, an IPv4 address, or an IPv6 network', () => {
    for (const [address, group] of [
      ['127.0.0.1', 'loopback'],
      ['127.8.9.1', 'loopback'],
      ['::1', 'loopback'],
      ['::ffff:127.0.0.1', 'loopback'],
      ['10.0.0.7', '10.0.0.7'],
      ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
    ] as const)
      assert.equal(clientGroup(address), group, address);
  });
});
