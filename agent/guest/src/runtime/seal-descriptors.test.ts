import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { loadSyscalls } from '@kata-agent/linux';
import { isInheritable, sealDescriptors } from './seal-descriptors.js';

test('inheritable descriptors become close-on-exec and stay open', () => {
  const syscalls = loadSyscalls();
  const own = openSync('/dev/null', 'w');
  const inherited = 300;
  syscalls.dup3(own, inherited, 0);
  assert.ok(isInheritable(inherited));
  sealDescriptors(syscalls);
  assert.ok(!isInheritable(inherited));
  assert.equal(writeSync(inherited, 'x'), 1);
  closeSync(inherited);
  closeSync(own);
});
