import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runs } from '@kata-agent/base/testing';
import * as fc from 'fast-check';
import { decodeAddress, encodeAddress, localAddress } from './address-message.js';
import {
  aligned,
  type Attribute,
  attributeOf,
  decodeAttributes,
  encodeAttributes,
  uint32Of,
} from './attributes.js';
import { decodeLink, encodeLinkChange, encodeLinkRequest, LinkFlag } from './link-message.js';
import { decodeNeighbour, encodeNeighbour } from './neighbour-message.js';
import { decodeMessages, encodeMessage } from './netlink-message.js';
import { maskNextHopFlags } from './next-hops.js';
import { decodeRoute, encodeRoute, RouteAttribute } from './route-message.js';

// Bytes of Linux 6.18, and what `ip` (iproute2 6.15) set before.

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

/** `ip address add 10.9.0.2/24 dev eth0`, and `fd09::2/64 … nodad` */
const addresses = [
  '02188000 03000000 080001000a090002 080002000a090002 090003006574683000000000 0800080080000000 14000600ffffffffffffffff0d3816000d381600',
  '0a408200 03000000 14000100fd090000000000000000000000000002 14000600ffffffffffffffff0d3816000d381600 0800080082000000',
].map(bytes);

/** `ip route add 192.0.2.0/24 via 10.9.0.1 mtu 1300 src 10.9.0.2` */
const route = bytes(
  '02180000fe030001 00000000 08000f00fe000000 08000100c0000200 0c000800 0800020014050000 080007000a090002 080005000a090001 0800040003000000',
);

/** `ip -6 route add 2001:db8::/32 via fd09::1 table 1000` */
const otherTable = bytes(
  '0a200000fc030001 00000000 08000f00e8030000 1400010020010db8000000000000000000000000 0800060000040000 14000500fd090000000000000000000000000001 0800040003000000 24000c00 0000000000000000000000000000000000000000000000000000000000000000 0500140000000000',
);

/** `ip route add 203.0.113.0/24 nexthop via 10.9.0.1 nexthop via 10.9.0.3 weight 5` */
const nextHops = bytes('1000000003000000 080005000a090001 1000000403000000 080005000a090003');

/** `ip neighbour add 10.9.0.1 lladdr 02:00:00:00:00:09 dev eth0` */
const neighbour = bytes(
  '02000000 03000000 80000001 080001000a090001 0a000200020000000009 0000 0800040000000000 1400030001000000010000000100000000000000',
);

/** `ip neighbour add proxy fd09::9 dev eth0` */
const proxy = bytes('0a000000 03000000 00000801 14000100fd090000000000000000000000000009');

test('addresses of the kernel are decoded, and encoded to the same bytes', () => {
  const [v4, v6] = addresses.map(decodeAddress);
  assert.ok(v4 && v6);
  assert.deepEqual([v4.family, v4.prefix, v4.scope, v4.index], [2, 24, 0, 3]);
  assert.deepEqual(localAddress(v4), Buffer.from([10, 9, 0, 2]));
  assert.deepEqual([v6.family, v6.prefix, v6.flags], [10, 64, 0x82]);
  assert.deepEqual(localAddress(v6), bytes('fd090000000000000000000000000002'));
  assert.equal(localAddress({ ...v6, attributes: [] }), undefined);
  assert.deepEqual([v4, v6].map(encodeAddress), addresses);
});

test('routes of the kernel are decoded, and encoded to the same bytes', () => {
  const main = decodeRoute(route);
  assert.deepEqual(
    [main.family, main.destinationBits, main.table, main.protocol, main.type],
    [2, 24, 254, 3, 1],
  );
  assert.deepEqual(attributeOf(main.attributes, RouteAttribute.Gateway), Buffer.from([10, 9, 0, 1]));
  assert.equal(uint32Of(main.attributes, RouteAttribute.OutputLink), 3);
  const metrics = attributeOf(main.attributes, RouteAttribute.Metrics) ?? Buffer.alloc(0);
  assert.equal(uint32Of(decodeAttributes(metrics), 2), 1300);
  assert.equal(decodeRoute(otherTable).table, 1000);
  for (const each of [route, otherTable]) assert.deepEqual(encodeRoute(decodeRoute(each)), each);
});

test('neighbours of the kernel are decoded; what a request cannot set is not encoded', () => {
  const entry = decodeNeighbour(neighbour);
  assert.deepEqual(entry, {
    family: 2,
    index: 3,
    state: 0x80,
    flags: 0,
    address: Buffer.from([10, 9, 0, 1]),
    hwAddr: Buffer.from([2, 0, 0, 0, 0, 9]),
  });
  assert.deepEqual(
    encodeNeighbour(entry),
    bytes('02000000 03000000 80000000 080001000a090001 0a000200020000000009 0000'),
  );
  assert.deepEqual([decodeNeighbour(proxy).flags, decodeNeighbour(proxy).hwAddr.length], [8, 0]);
});

test('a change of a link names the flags that it changes', () => {
  const { Up, NoArp } = LinkFlag;
  const change = encodeLinkChange({ index: 7, flags: { Up: true, NoArp: false }, mtu: 1400, name: 'eth0' });
  assert.deepEqual(
    change,
    bytes(
      `00000000 07000000 0${Up}000000 ${(Up | NoArp).toString(16)}000000 0900030065746830000000000 8000400 78050000`,
    ),
  );
  const { flags, ...decoded } = decodeLink(change);
  assert.deepEqual(decoded, { index: 7, name: 'eth0', hwAddr: Buffer.alloc(0), mtu: 1400 });
  assert.equal(flags, Up);
  assert.deepEqual(encodeLinkRequest(), bytes('00000000 00000000 00000000 00000000 08001d00 08000000'));
});

test('flags of next hops are masked', () => {
  const dead = Buffer.from(nextHops);
  dead.writeUInt8(0x01 | 0x04 | 0x10, 2);
  const masked = maskNextHopFlags(dead, 0x04);
  assert.equal(masked.readUInt8(2), 0x04);
  masked.writeUInt8(0, 2);
  assert.deepEqual(masked, nextHops);
  assert.deepEqual(dead.readUInt8(2), 0x15, 'the original stays');
  for (const length of [1, 7, 8, 17, 31])
    assert.throws(() => maskNextHopFlags(nextHops.subarray(0, length), 0), { name: 'MalformedMessage' });
});

/** Objects with the prototype that decoders give them. */
const record = <Shape>(shape: { [Key in keyof Shape]: fc.Arbitrary<Shape[Key]> }): fc.Arbitrary<Shape> =>
  fc.record(shape, { noNullPrototype: true });
const byte = fc.nat(0xff);
const uint32 = fc.nat(0xffff_ffff);
const attributes = fc.array(
  record({
    type: fc.nat(0x3fff),
    value: fc.uint8Array({ maxLength: 64 }).map((value) => Buffer.from(value)),
  }),
  { maxLength: 8 },
);

test('what is encoded is decoded again', () => {
  const numRuns = runs(2_000);
  fc.assert(
    fc.property(attributes, (each) => {
      const encoded = encodeAttributes(each);
      assert.equal(encoded.length % 4, 0);
      assert.deepEqual(decodeAttributes(encoded), each);
    }),
    { numRuns },
  );
  const message = record({
    type: fc.nat(0xffff),
    flags: fc.nat(0xffff),
    sequence: uint32,
    port: uint32,
    payload: attributes.map(encodeAttributes),
  });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 4 }), (each) =>
      assert.deepEqual(decodeMessages(Buffer.concat(each.map(encodeMessage))), each),
    ),
    { numRuns },
  );
  const address = record({
    family: byte,
    prefix: byte,
    flags: byte,
    scope: byte,
    index: uint32,
    attributes,
  });
  fc.assert(
    fc.property(address, (each) => assert.deepEqual(decodeAddress(encodeAddress(each)), each)),
    { numRuns },
  );
  const withoutTable = attributes.map((each) => each.filter(({ type }) => type !== RouteAttribute.Table));
  const anyRoute = record({
    family: byte,
    destinationBits: byte,
    sourceBits: byte,
    tos: byte,
    table: uint32,
    protocol: byte,
    scope: byte,
    type: byte,
    flags: uint32,
    attributes: withoutTable,
  });
  fc.assert(
    fc.property(anyRoute, (each) => assert.deepEqual(decodeRoute(encodeRoute(each)), each)),
    { numRuns },
  );
  const value = fc.uint8Array({ maxLength: 20 }).map((each) => Buffer.from(each));
  const entry = record({
    family: byte,
    index: fc.nat(0x7fff_ffff),
    state: fc.nat(0xffff),
    flags: byte,
    address: value,
    hwAddr: value,
  });
  fc.assert(
    fc.property(entry, (each) => assert.deepEqual(decodeNeighbour(encodeNeighbour(each)), each)),
    { numRuns },
  );
});

/** Every decoder, with bytes that it accepts. */
const decoders: readonly (readonly [decode: (bytes: Buffer) => unknown, accepted: readonly Buffer[]])[] = [
  [decodeAddress, addresses],
  [decodeRoute, [route, otherTable]],
  [decodeNeighbour, [neighbour, proxy]],
  [decodeLink, [encodeLinkChange({ index: 7, mtu: 1400, name: 'eth0' })]],
  [decodeAttributes, [route.subarray(12)]],
  [(each) => maskNextHopFlags(each, 0), [nextHops]],
  [decodeMessages, [encodeMessage({ type: 24, flags: 2, sequence: 1, port: 1, payload: route })]],
];

test('any other bytes are decoded, or refused as malformed: no byte beyond them is read', () => {
  const malformed = (decode: (bytes: Buffer) => unknown, each: Buffer): void => {
    try {
      decode(each);
    } catch (error) {
      assert.equal((error as Error).name, 'MalformedMessage', String(error));
    }
  };
  for (const [decode, accepted] of decoders) {
    for (const whole of accepted) {
      decode(whole);
      for (let length = 0; length < whole.length; length += 1) malformed(decode, whole.subarray(0, length));
      fc.assert(
        fc.property(fc.nat(whole.length - 1), byte, (at, replaced) => {
          const changed = Buffer.from(whole);
          changed.writeUInt8(replaced, at);
          malformed(decode, changed);
        }),
        { numRuns: runs(2_000) },
      );
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 96 }), (each) => malformed(decode, Buffer.from(each))),
      { numRuns: runs(2_000) },
    );
  }
});

test('an attribute that ends beyond its message is refused, as one without a header', () => {
  const value: Attribute = { type: 1, value: Buffer.from('ab') };
  const encoded = encodeAttributes([value]);
  assert.deepEqual(encoded, bytes('06000100 61620000'));
  // The last one may lack its padding.
  assert.deepEqual(decodeAttributes(encoded.subarray(0, 6)), [value]);
  for (const hex of ['06', '060001', '03000100', '0700010061 62', '00000100'])
    assert.throws(() => decodeAttributes(bytes(hex)), { name: 'MalformedMessage' });
  assert.throws(() => uint32Of([value], 1), { name: 'MalformedMessage' });
  assert.deepEqual([0, 1, 4, 5].map(aligned), [0, 4, 4, 8]);
});
