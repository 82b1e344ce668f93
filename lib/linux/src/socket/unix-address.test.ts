import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatUnixAddress, parseUnixAddress } from '../index.js';
import { unixSocketAddress } from './unix-address.js';

test('parses paths and abstract names', () => {
  assert.deepEqual(parseUnixAddress('unix:///run/kata/agent.sock'), {
    kind: 'path',
    path: '/run/kata/agent.sock',
  });
  assert.deepEqual(parseUnixAddress('unix://@kata/agent'), { kind: 'abstract', name: 'kata/agent' });
  assert.deepEqual(parseUnixAddress('unix://@@'), { kind: 'abstract', name: '@' });
});

test('rejects anything else, with text, reason and format in the message', () => {
  for (const [text, reason] of [
    ['', 'does not start with unix://'],
    ['unix:/run/a', 'does not start with unix://'],
    ['vsock://1:2', 'does not start with unix://'],
    ['unix://', 'has no name'],
    ['unix://@', 'has no name'],
    ['unix://run/a', 'not absolute'],
    ['unix:///a\0b', 'NUL'],
    [`unix:///${'a'.repeat(107)}`, 'has 108 bytes'],
    [`unix://@${'ä'.repeat(54)}`, 'has 108 bytes'],
  ] as const)
    assert.throws(
      () => parseUnixAddress(text),
      (error) =>
        error instanceof Error &&
        error.message.includes(reason) &&
        error.message.includes(JSON.stringify(text)) &&
        error.message.includes('expected unix://'),
      text,
    );
});

test('formatting and parsing are inverse', () => {
  const name = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 20 })
    .filter((text) => !text.includes('\0'));
  fc.assert(
    fc.property(name, fc.boolean(), (name, abstract) => {
      const address = abstract
        ? ({ kind: 'abstract', name } as const)
        : ({ kind: 'path', path: `/${name}` } as const);
      assert.deepEqual(parseUnixAddress(formatUnixAddress(address)), address);
    }),
  );
});

test('the encoded address is exactly as long as the name', () => {
  assert.deepEqual(
    [...unixSocketAddress({ kind: 'abstract', name: 'ab' })],
    [1, 0, 0, 'a'.charCodeAt(0), 'b'.charCodeAt(0)],
  );
  assert.deepEqual([...unixSocketAddress({ kind: 'path', path: '/a' })], [1, 0, 0x2f, 0x61, 0]);
  assert.equal(unixSocketAddress({ kind: 'path', path: `/${'a'.repeat(106)}` }).length, 110);
  assert.throws(() => unixSocketAddress({ kind: 'path', path: `/${'a'.repeat(107)}` }), /has 108 bytes/);
});
