import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { UndoStack } from '../undo-stack.js';
import { GuestError } from '../guest-error.js';
import { makeTree } from '../testing/tree.js';
import { VfioDevices } from './vfio-devices.js';

test('a controller is refused if the guest uses any of its disks', async () => {
  const directory = 'sys/devices/pci0000:00/0000:00:02.0';
  const root = makeTree({
    [`${directory}/class`]: '0x010802\n',
    [`${directory}/vendor`]: '0x144d\n',
    [`${directory}/nvme/nvme0/nvme0n1/x`]: '',
    [`${directory}/nvme/nvme0/nvme0c0n2/x`]: '',
    'dev/nvme0n1': '',
    'dev/nvme0n2': '',
  });
  try {
    const take = async (disk: string) => {
      if (disk.endsWith('nvme0n2'))
        throw new GuestError('refused', `the disk ${disk} is in use in the guest`);
      return () => undefined;
    };
    const vfio = new VfioDevices({ sys: join(root, 'sys'), dev: join(root, 'dev') }, { take });
    await assert.rejects(vfio.takeDisks(join(root, directory), new UndoStack()), { kind: 'refused' });
  } finally {
    rmSync(root, { recursive: true });
  }
});
