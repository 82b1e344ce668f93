import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeWords, expand } from './expansion.js';

const line = (words: readonly string[]) =>
  words.map((word) =>
    word === '?'
      ? undefined
      : expand(word, (name) => {
          if (name === 'HOST') return [{ name, mayMiss: false }];
          return name === 'KNOWN' ? ['text'] : [{ name, mayMiss: false, open: 'Secret x, key k' }];
        }),
  );
const found = (...words: readonly string[]): readonly number[] => [...codeWords(line(words)).keys()];

test('a word of a shell is code before and as its first argument that is not an option', () => {
  assert.deepEqual(found('sh', '-c', '$(T)'), [2]);
  assert.deepEqual(found('/bin/bash', '-euo', 'pipefail', '-c', 'run --token=$(T)'), [4]);
  assert.deepEqual(found('sh', '-ec', '--', 'echo $(T)'), [3]);
  assert.deepEqual(found('bash', '-c', '-x', '$(T)'), [3]);
  assert.deepEqual(found('dash', '$(T)'), [1], 'a script, or -c');
  assert.deepEqual(found('sh', '$(T)', 'echo $(U)'), [1, 2], 'the first may be -c');
  assert.deepEqual(found('sh', '/opt/$(T)', '$(U)'), [1]);
});

test('programs that start others, and other interpreters', () => {
  assert.deepEqual(found('/usr/bin/env', '-i', 'A=b', 'sh', '-c', '$(T)'), [5]);
  assert.deepEqual(found('busybox', 'ash', '-c', '$(T)'), [3]);
  assert.deepEqual(found('tini', '--', 'timeout', '5', 'sh', '-c', '$(T)'), [6]);
  assert.deepEqual(found('python3.12', '-u', '-c', '$(T)'), [3]);
  assert.deepEqual(found('perl', '-ne', '$(T)'), [2]);
  assert.deepEqual(found('node', '--eval', '$(T)'), [2]);
  assert.deepEqual(found('node', '--eval=$(T)'), [1]);
  assert.deepEqual(found('awk', '-v', 'x=1', '$(T)'), [3]);
  assert.deepEqual(found('$(T)', '--x'), [0]);
  assert.deepEqual(found('?', '-c', '$(T)'), [2]);
});

test('other words are values', () => {
  assert.deepEqual(found('sh', '-c', 'echo "$1"', 'name', '$(T)'), []);
  assert.deepEqual(found('sh', '-c', 'echo $(KNOWN) $(HOST)'), []);
  assert.deepEqual(found('sh', '/run.sh', '$(T)'), []);
  assert.deepEqual(found('server', '-c', '$(T)'), []);
  assert.deepEqual(found('node', 'server.js', '$(T)'), []);
  assert.deepEqual(found('python', '-m', 'server', '--token=$(T)'), []);
  assert.deepEqual(found('?', '--token', '$(T)'), []);
});
