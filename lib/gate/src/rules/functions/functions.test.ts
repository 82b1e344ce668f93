import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { CopyFileRequestSchema } from '@kata-agent/protocol/agent';
import { ask, rule } from '../rules.test.fixture.js';

const copy = (path: string, data = '') =>
  create(CopyFileRequestSchema, { path, data: Buffer.from(data, 'latin1') });

function holds(expression: string, path: string, data?: string): boolean {
  const { outcome, reason } = ask([rule(expression, ['CopyFile'])], 'CopyFile', copy(path, data));
  assert.ok(!reason.includes('inside'), reason);
  return outcome === 'allow';
}

test('within: paths below a directory, without “..”', () => {
  for (const path of ['/a/b', '/a/b/c', '/a/..b', '/a/b..', '/a/...'])
    assert.ok(holds('path.within("/a") && path.within("/a/") && path.within("/")', path), path);
  for (const path of [
    '',
    '/',
    '/a',
    '/a/',
    '/ab/c',
    '/a//b',
    '/a/./b',
    '/a/../a/b',
    '/a/b/..',
    '/a/b/',
    'a/b',
    '/a/\0',
    '/A/b',
  ])
    assert.ok(!holds('path.within("/a")', path), path);
  assert.ok(
    !holds('path.within("")', '/a/b') &&
      !holds('path.within("a")', '/a/b') &&
      !holds('path.within("a")', 'a/b'),
  );
});

test('string functions', () => {
  assert.ok(holds('path.split("/") == ["", "a", "b"] && path.split("") == ["/", "a", "/", "b"]', '/a/b'));
  assert.ok(holds('path.lowerAscii() == "/aÄ" && path.size() == 3 && size("😀") == 1', '/AÄ'));
  assert.ok(
    holds('path.startsWith("/a") && path.endsWith("b") && path.contains("/b") && path < "/a/c"', '/a/b'),
  );
});

test('conversions accept values that they preserve', () => {
  assert.ok(holds('int(path) == 42 && uint(path) == 42u && string(int(path)) == path', '42'));
  for (const text of ['', ' 42', '4 2', '0x10', '4.2', '1e3', '9223372036854775808'])
    assert.ok(!holds('int(path) == int(path)', text), text);
  assert.ok(!holds('uint(path) == uint(path)', '-1'));
  assert.ok(
    holds(
      'string(request.data) == "ä" && request.data == bytes("ä") && request.data.size() == 2',
      '',
      '\xc3\xa4',
    ),
  );
  assert.ok(!holds('string(request.data) == string(request.data)', '', '\xff'));
  assert.ok(holds('string(request.data).size() == 2', '', '\xef\xbb\xbfa'));
});

test('integer arithmetic does not wrap around', () => {
  for (const expression of [
    'int(path) + 9223372036854775807 > 0',
    '-int(path) - 9223372036854775807 - 1 < 0',
    'int(path) * 9223372036854775807 * 2 > 0',
    'uint(path) - 2u > 0u',
    '1 / (int(path) - 1) == 1',
  ])
    assert.ok(!holds(expression, '1'), expression);
  assert.ok(holds('-7 / 2 == -3 && -7 % 2 == -1 && 7 / -2 == -3', ''));
});
