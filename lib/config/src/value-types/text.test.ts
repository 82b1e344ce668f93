import assert from 'node:assert/strict';
import { test } from 'node:test';
import { url } from './text.js';

test('a URL must have a host', () => {
  for (const good of ['http://proxy.example:3128', 'socks5://u:p@[2001:db8::1]:1080', 'HTTP:proxy'])
    assert.ok(url.fromText(good).ok, good);
  for (const bad of [
    '',
    'A:',
    'a:b',
    'http://',
    'mailto:a@b',
    'proxy.example',
    'http://a b',
    ' http://a',
    'http://a\n',
  ])
    assert.ok(!url.fromText(bad).ok, bad);
});
