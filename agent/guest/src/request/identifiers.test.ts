import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { checkContainerId, checkExecId, checkHostname } from './identifiers.js';

test('a valid identifier is a plain file name', () => {
  fc.assert(
    fc.property(fc.string(), (id) => {
      try {
        checkExecId(id);
      } catch {
        return;
      }
      assert.match(id, /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/);
    }),
  );
  for (const id of ['a', '0', 'a.b_c-d', 'x'.repeat(128)]) checkExecId(id);
});

test('invalid names and names of Kata’s own directories are refused', () => {
  for (const id of ['', '.', '..', '-a', 'a/b', 'a b', 'ä', 'x'.repeat(129), 'a\n', 'shared', 'sandbox']) {
    assert.throws(() => checkContainerId(id), { kind: 'invalid' }, id);
  }
});

test('hostnames', () => {
  for (const name of ['', 'pod', 'a.b-c_d', 'x'.repeat(255)]) checkHostname(name);
  for (const name of ['a b', 'x'.repeat(256), 'a\0'])
    assert.throws(() => checkHostname(name), { kind: 'invalid' });
});
