import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mount, mountCalls, MountFlag, RecordingSyscalls } from '../index.js';

test('a filesystem takes one call', () => {
  assert.deepEqual(
    mountCalls({ source: 'shm', target: '/t', type: 'tmpfs', options: ['nosuid', 'size=1m', 'mode=1777'] }),
    [{ source: 'shm', target: '/t', type: 'tmpfs', flags: MountFlag.NoSuid, data: 'size=1m,mode=1777' }],
  );
});

test('a bind mount sets other flags in a remount, then its propagation', () => {
  for (const request of [
    { source: '/s', target: '/t', type: 'bind', options: ['rbind', 'ro', 'nodev', 'rslave'] },
    { source: '/s', target: '/t', type: '', options: ['rbind', 'ro', 'nodev', 'rslave'] },
  ])
    assert.deepEqual(mountCalls(request), [
      { source: '/s', target: '/t', type: '', flags: MountFlag.Bind | MountFlag.Recursive, data: '' },
      {
        source: '',
        target: '/t',
        type: '',
        flags: MountFlag.Bind | MountFlag.Remount | MountFlag.ReadOnly | MountFlag.NoDev,
        data: '',
      },
      { source: '', target: '/t', type: '', flags: MountFlag.Slave | MountFlag.Recursive, data: '' },
    ]);
});

test('the type bind alone makes a bind mount', () => {
  assert.equal(
    mountCalls({ source: '/s', target: '/t', type: 'bind', options: [] })[0]?.flags,
    MountFlag.Bind,
  );
});

test('a remount is one call with all its flags', () => {
  assert.deepEqual(mountCalls({ source: '', target: '/t', type: '', options: ['remount', 'bind', 'ro'] }), [
    {
      source: '',
      target: '/t',
      type: '',
      flags: MountFlag.Remount | MountFlag.Bind | MountFlag.ReadOnly,
      data: '',
    },
  ]);
});

test('a later step that fails unmounts again', () => {
  const fake = new RecordingSyscalls();
  fake.script('mount', (_source, _target, _type, flags) => {
    if ((flags & MountFlag.Remount) !== 0) throw new Error('refused');
  });
  const request = { source: '/s', target: '/t', type: 'bind', options: ['ro'] };
  assert.throws(() => mount(fake, request), /refused/);
  assert.deepEqual(
    fake.calls.map(({ name }) => name),
    ['mount', 'mount', 'umount2'],
  );
});

test('a first step or a remount that fails unmounts nothing', () => {
  const fake = new RecordingSyscalls();
  fake.fail('mount', 'EPERM');
  assert.throws(() => mount(fake, { source: 'a', target: '/t', type: 'tmpfs', options: [] }), {
    code: 'EPERM',
  });
  fake.script('mount', (_source, _target, _type, flags) => {
    if ((flags & MountFlag.Remount) === 0) throw new Error('refused');
  });
  assert.throws(
    () => mount(fake, { source: '', target: '/t', type: '', options: ['remount', 'private'] }),
    /refused/,
  );
  assert.deepEqual(fake.argumentsOf('umount2'), []);
});
