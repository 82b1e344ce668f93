import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settings } from '@kata-agent/config';
import { unknown } from './setting-direction.js';
import { directionOf } from './setting-directions.js';

test('the direction of every row of the settings table is known', () => {
  const strange = settings.filter((row) => directionOf(row) === unknown);
  assert.deepEqual(
    strange.map(({ section, key }) => `${section}.${key}`),
    [],
  );
});

test('a row without a known direction counts as opening', () => {
  const [row] = settings.filter(({ section }) => section === 'audit');
  assert.ok(row !== undefined);
  const direction = directionOf({ ...row, key: 'new' });
  assert.equal(direction?.(1, 2).effect, 'opens');
});
