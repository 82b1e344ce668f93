import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { HttpError } from '../http/http-answers.js';
import { isGuestName, parseOperatorRequest } from './operator-request.js';

test('each request', () => {
  const guest = 'web-0a.b_c';
  const audit = { kind: 'audit', guest, from: undefined, follow: false } as const;
  const table = [
    ['GET', '/v1/guests', { kind: 'guests' }],
    ['GET', `/v1/guests/${guest}`, { kind: 'guest', guest }],
    ['GET', `/v1/guests/${guest}/audit`, audit],
    ['GET', `/v1/guests/${guest}/audit?from=12`, { ...audit, from: 12 }],
    ['GET', `/v1/guests/${guest}/audit?follow=true&from=1`, { ...audit, from: 1, follow: true }],
    ['POST', `/v1/guests/${guest}/revocations`, { kind: 'revoke', guest }],
    ['GET', `/guests/${guest}`, { kind: 'connect', guest }],
  ] as const;
  for (const [method, target, expected] of table)
    assert.deepEqual(parseOperatorRequest(method, target), expected);
});

test('any other target is an error, and no two targets are the same request', () => {
  const part = fc.constantFrom(
    'v1',
    'guests',
    'web',
    'audit',
    'revocations',
    '',
    '.',
    '..',
    '%77eb',
    'WEB',
    ' ',
    '\\',
    '?from=1',
    '#x',
  );
  const target = fc.oneof(
    fc.array(part, { maxLength: 6 }).map((parts) => `/${parts.join('/')}`),
    fc.webPath(),
    fc.string(),
  );
  const seen = new Map<string, string>();
  fc.assert(
    fc.property(target, fc.constantFrom('GET', 'POST', 'PUT'), (text, method) => {
      try {
        const request = parseOperatorRequest(method, text);
        const key = JSON.stringify(request);
        assert.equal(seen.get(key) ?? text, text);
        seen.set(key, text);
        if (request.kind !== 'guests') assert.ok(isGuestName(request.guest));
      } catch (error) {
        assert.ok(error instanceof HttpError, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});

test('the name of a guest', () => {
  for (const name of ['a', 'web', 'web-0a1b2c3d4e5f', 'A.b_c', 'x'.repeat(128)]) assert.ok(isGuestName(name));
  for (const name of ['', '.', '..', '-a', 'a-', 'a/b', 'a%', 'a b', 'é', 'a\n', 'x'.repeat(129)])
    assert.ok(!isGuestName(name), name);
});
