import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MountAttribute } from '@kata-agent/linux';
import { bindAttributes, withoutRecursion } from './nested-mounts.js';

const { ReadOnly, NoSuid, NoExec, NoAccessTime, StrictAccessTime, AccessTime } = MountAttribute;
const nothing = { set: 0, clear: 0 };

test('options of a bind mount become attributes of its topmost mount, or of all', () => {
  assert.deepEqual(bindAttributes(['rbind', 'rw', 'rprivate']), { top: nothing, all: nothing });
  assert.deepEqual(bindAttributes(['ro', 'rnosuid', 'noexec']), {
    top: { set: ReadOnly | NoExec, clear: 0 },
    all: { set: NoSuid, clear: 0 },
  });
  assert.deepEqual(bindAttributes(['ro', 'noexec', 'rw']).top, { set: NoExec, clear: 0 });
  assert.deepEqual(bindAttributes(['noatime', 'strictatime']).top, {
    set: StrictAccessTime,
    clear: AccessTime,
  });
  assert.deepEqual(bindAttributes(['noatime', 'atime']).top, nothing);
  assert.deepEqual(bindAttributes(['rnoatime', 'relatime']), {
    top: { set: 0, clear: AccessTime },
    all: { set: NoAccessTime, clear: AccessTime },
  });
});

test('each recursive option has a plain form', () => {
  for (const [option, plain] of [
    ['rro', 'ro'],
    ['rrelatime', 'relatime'],
    ['rw', 'rw'],
    ['ro', 'ro'],
    ['relatime', 'relatime'],
    ['rbind', 'rbind'],
    ['rslave', 'rslave'],
  ] as const)
    assert.equal(withoutRecursion(option), plain);
});
