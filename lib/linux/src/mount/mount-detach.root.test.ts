import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  detachMount,
  loadSyscalls,
  mount,
  mounts,
  mountsBelow,
  RecordingSyscalls,
  unmountTree,
} from '../index.js';

const skip = process.getuid?.() === 0 || process.env.CI === 'true' ? false : 'mount(2) needs root';
const kernel = loadSyscalls();

test('a mount in use by one thread ends with it; that thread releases its use last', {
  skip,
}, async (context) => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'detach-')));
  context.after(() => {
    unmountTree(kernel, root);
    rmSync(root, { recursive: true });
  });
  const syscalls = new RecordingSyscalls({}, kernel);
  for (let round = 0; round < 2; round += 1)
    mount(kernel, { source: 'tmpfs', target: root, type: 'tmpfs', options: ['size=1m'] });
  mkdirSync(join(root, 'inside'));
  writeFileSync(join(root, 'file'), '');
  mount(kernel, { source: 'tmpfs', target: join(root, 'inside'), type: 'tmpfs', options: ['size=1m'] });
  const descriptors = readdirSync('/proc/self/fd').length;
  await detachMount(syscalls, root);
  assert.equal(mountsBelow(root, mounts()).length, 1);
  await detachMount(syscalls, root);
  assert.equal(mountsBelow(root, mounts()).length, 0);
  // If it had been closed here, the memory would already be freed.
  assert.deepEqual(
    syscalls.calls.map(({ name }) => name),
    ['openat', 'umount2', 'openat', 'umount2'],
  );
  await assert.rejects(detachMount(syscalls, root), { code: 'EINVAL' });
  await assert.rejects(detachMount(syscalls, join(root, 'no')), { code: 'ENOENT' });
  // Node.js may have closed others meanwhile.
  assert.ok(readdirSync('/proc/self/fd').length <= descriptors);
});
