import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settings, type SettingValue } from '@kata-agent/config';
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

test('an earlier clock_floor opens, and so does one whose other value only the build knows', () => {
  const row = settings.find(({ key }) => key === 'clock_floor');
  assert.ok(row !== undefined);
  const effect = (before: number | undefined, after: number | undefined) =>
    directionOf(row)?.(before, after).effect;
  assert.deepEqual(
    [effect(2000, 1000), effect(1000, 2000), effect(undefined, 2000), effect(2000, undefined)],
    ['opens', 'closes', 'opens', 'opens'],
  );
});

test('what weakens the policy of images opens', () => {
  const effects = (name: string, ...pairs: readonly (readonly [SettingValue, SettingValue])[]) => {
    const row = settings.find(({ section, key }) => section === 'image' && key === name);
    assert.ok(row !== undefined);
    return pairs.map(([before, after]) => directionOf(row)?.(before, after).effect);
  };
  assert.deepEqual(effects('require_digest', [false, true], [true, false]), ['closes', 'opens']);
  assert.deepEqual(effects('store', ['memory', 'encrypted-disk'], ['encrypted-disk', 'memory']), [
    'opens',
    'closes',
  ]);
  assert.deepEqual(effects('layers', ['pulled', 'verified'], ['verified', 'pulled']), ['closes', 'opens']);
  assert.deepEqual(effects('max_size', [1, 2], [2, 1]), ['opens', 'closes']);
  assert.deepEqual(effects('token_hosts', [{}, { 'a.b': ['c.d'] }]), ['opens']);
});
