import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Configuration } from '@kata-agent/config';
import { RecordingSyscalls } from '@kata-agent/linux';
import { CannotApply } from '../cannot-apply.js';
import { extensionGuest } from '../init/mount-extension.js';
import { mountExtensions } from './mount-extensions.js';

const rootHash = 'ab'.repeat(32);
const kernelCommandLine = `kata.extension.devkit.verity_params=root_hash=${rootHash},data_blocks=1`;

function mountWith(
  extensions: readonly string[],
  mounted: readonly string[] = [],
): ReturnType<typeof mountExtensions> {
  const configuration = { settings: { extensions, hotplugTimeout: 0 }, documents: [{}] };
  const syscalls = new RecordingSyscalls();
  return mountExtensions(configuration as unknown as Configuration, {
    kernelCommandLine,
    syscalls,
    log: () => undefined,
    guest: { ...extensionGuest(syscalls, 0), mounts: () => mounted.map((target) => ({ target })) },
  });
}

const place = '/run/kata-extensions/devkit';

test('an extension that the configuration does not list is refused, mounted or not', async () => {
  for (const mounted of [[], [place]])
    await assert.rejects(
      mountWith([], mounted),
      (error) =>
        error instanceof CannotApply && /devkit with root hash (ab){32} is refused/.test(error.message),
    );
});

test('a listed one is in the boot record, and is mounted unless units of the image have mounted it', async () => {
  const listed = [`devkit=sha256:${rootHash}`];
  assert.deepEqual(await mountWith(listed, [place]), [{ name: 'devkit', rootHash }]);
  await assert.rejects(mountWith(listed), /there is no disk with the serial number extension-devkit/);
});
