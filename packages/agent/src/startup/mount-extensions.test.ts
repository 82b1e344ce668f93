import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Configuration } from '@kata-agent/config';
import { RecordingSyscalls } from '@kata-agent/linux';
import { CannotApply } from './cannot-apply.js';
import { mountExtensions } from './mount-extensions.js';

const rootHash = 'ab'.repeat(32);
const kernelLine = `kata.extension.devkit.verity_params=root_hash=${rootHash},data_blocks=1`;

function mountWith(
  extensions: readonly string[],
  isFirstProcess: boolean,
): ReturnType<typeof mountExtensions> {
  const configuration = { settings: { extensions, hotplugTimeout: 0 }, documents: [{}] };
  return mountExtensions(configuration as unknown as Configuration, {
    kernelLine,
    syscalls: new RecordingSyscalls(),
    log: () => undefined,
    isFirstProcess,
  });
}

test('an extension that the configuration does not list is refused under any init', async () => {
  for (const isFirst of [true, false])
    await assert.rejects(
      mountWith([], isFirst),
      (error) =>
        error instanceof CannotApply && /devkit with root hash (ab){32} is refused/.test(error.message),
    );
});

test('a listed one is mounted as PID 1 only, and is in the boot record', async () => {
  const listed = [`devkit=sha256:${rootHash}`];
  assert.deepEqual(await mountWith(listed, false), [{ name: 'devkit', rootHash }]);
  await assert.rejects(mountWith(listed, true), /there is no disk with the serial number extension-devkit/);
});
