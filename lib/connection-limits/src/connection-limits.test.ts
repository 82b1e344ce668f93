import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addressGroup, KnownGroups, Penalties } from './pre-auth-limiter.js';

describe('a group of addresses that was turned away', () => {
  it('may return after a minute', () => {
    const penalties = new Penalties();
    penalties.add('a', 0);
    assert.deepEqual(
      [penalties.has('a', 59_999), penalties.has('a', 60_000), penalties.has('b', 0)],
      [true, false, false],
    );
    for (let group = 0; group < 2000; group += 1) penalties.add(String(group), 0);
    assert.ok(!penalties.has('0', 1) && penalties.has('1999', 1), 'memory is bounded');
  });
});

describe('a group of addresses of which a client was refused', () => {
  it('is known no more, for good', () => {
    const known = new KnownGroups();
    known.add('a');
    assert.deepEqual([known.has('a'), known.has('b')], [true, false]);
    known.bar('a');
    known.add('a');
    assert.equal(known.has('a'), false);
    for (let group = 0; group < 1000; group += 1) known.add(`g${group}`);
    assert.ok(!known.has('g0') && known.has('g999'), 'memory is bounded');
  });
});

describe('the group of an address', () => {
  it('is an IPv4 address, or an IPv6 network', () => {
    for (const [address, group] of [
      ['127.8.9.1', '127.8.9.1'],
      ['10.0.0.7', '10.0.0.7'],
      ['::ffff:10.0.0.7', '10.0.0.7'],
      ['::1', '0:0:0:0::/64'],
      ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
      ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
      ['2001:db8::9', '2001:db8:0:0::/64'],
      ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ] as const)
      assert.equal(addressGroup(address), group, address);
  });
});
