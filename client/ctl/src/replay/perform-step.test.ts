import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonValue } from '@bufbuild/protobuf';
import { mismatch } from './perform-step.js';

test('a reply can have more than the expected members, but not fewer', () => {
  const reply = { usage: [{ unit: 'BYTES', total: '12' }, { unit: 'INODES' }], count: '7', on: true };
  for (const wanted of [
    {},
    { count: 7 },
    { count: '7', on: true },
    { count: '/^[1-9]$/' },
    { usage: [{ unit: 'INODES' }] },
    { usage: [{ unit: 'INODES' }, { total: '/^1/' }] },
  ])
    assert.equal(mismatch(reply, wanted, 'reply'), undefined, JSON.stringify(wanted));
  const differing: readonly [wanted: JsonValue, pattern: RegExp][] = [
    [{ count: 8 }, /reply\.count is 7, not 8/],
    [{ absent: 0 }, /reply\.absent is absent, not 0/],
    [{ usage: [{ unit: 'PAGES' }] }, /reply\.usage has no \{"unit":"PAGES"\}/],
    [{ usage: { unit: 'BYTES' } }, /reply\.usage\.unit is absent/],
  ];
  for (const [wanted, pattern] of differing) assert.match(mismatch(reply, wanted, 'reply') ?? '', pattern);
});
