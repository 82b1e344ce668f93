import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compareReleases, findRelease, releases } from './index.js';

test('a missing patch number is 0', () => {
  assert.equal(compareReleases('3.21', '3.21.0'), 0);
  assert.ok(compareReleases('3.21', '3.21.1') < 0);
});

test('numbers are compared as numbers', () => {
  assert.ok(compareReleases('3.9', '3.21') < 0);
  assert.ok(compareReleases('4.1.0', '3.32.0') > 0);
  assert.ok(compareReleases('3.10.1', '3.10') > 0);
});

test('a malformed release is an error that shows the format', () => {
  for (const wrong of [
    '',
    '3',
    '3.',
    '3.21.0.1',
    '3.21-rc0',
    '03.21',
    'v3.21',
    '3.21 ',
    '3.2١',
    '1e3.0',
    '9999999.0',
  ])
    assert.throws(
      () => compareReleases('3.21', wrong),
      (error) => error instanceof RangeError && error.message.includes(JSON.stringify(wrong)),
      wrong,
    );
  assert.throws(() => compareReleases('latest', '3.21'), RangeError);
});

test('the list is sorted and has each release once', () => {
  for (const [index, release] of releases.entries()) {
    const next = releases[index + 1];
    if (next !== undefined) assert.ok(compareReleases(release, next) < 0, `${release} ${next}`);
  }
  assert.equal(releases[0], '2.0.0');
  assert.equal(releases.at(-1), '4.1.0');
});

test('findRelease accepts both forms and returns undefined for an unknown release', () => {
  assert.equal(findRelease('3.21'), '3.21.0');
  assert.equal(findRelease('3.21.0'), '3.21.0');
  assert.equal(findRelease('3.19.1'), '3.19.1');
  for (const wrong of ['3.33', '3.21.1', '1.12', '4', '', '3.19.1.0'])
    assert.equal(findRelease(wrong), undefined);
});

test('compareReleases is an order', () => {
  const part = fc.nat(50);
  const release = fc
    .tuple(part, part, fc.option(part, { nil: undefined }))
    .map(([major, minor, patch]) => `${major}.${minor}${patch === undefined ? '' : `.${patch}`}`);
  fc.assert(
    fc.property(release, release, release, (a, b, c) => {
      assert.equal(Math.sign(compareReleases(a, b)), -Math.sign(compareReleases(b, a)) + 0);
      assert.equal(compareReleases(a, a), 0);
      if (compareReleases(a, b) <= 0 && compareReleases(b, c) <= 0) assert.ok(compareReleases(a, c) <= 0);
    }),
  );
});
