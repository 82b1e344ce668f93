import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { containersLeaveNothing } from './containers-leave-nothing.js';
import { everyDoor } from './every-door.js';
import { takesNoMoreModules } from './hardened.js';
import { ext4Disk, imageStorage, openImage, rootFolder } from './hotplug.js';
import { boot, stop, whyNoMachine } from './machine.js';
import { openDoors } from './open-doors.js';
import { runningGuest } from './running-guest.js';
import { vsockFacts, vsockFactsProgram } from './vsock-facts.js';

const skip = whyNoMachine() ?? false;

describe('a guest that is open to its host', { skip }, () => {
  const guest = runningGuest('open-guest', async (folder) => {
    const disks = [ext4Disk(folder, 'rootfs', rootFolder(folder, 'root'))];
    const overlay = [everyDoor(['host', 'cid:1']), await vsockFactsProgram(folder)];
    return boot(await openImage('open-guest'), folder, { disks, overlay, memory: 768 });
  });

  before(async () => {
    await guest.agent.createSandbox({ sandboxId: 'pod', hostname: 'pod', storages: [imageStorage] });
  });

  takesNoMoreModules(guest);
  containersLeaveNothing(guest);
  openDoors(guest);
  vsockFacts(guest);

  it('ends when it is told to', async () => {
    await stop(guest.machine);
    assert.match(guest.machine.lines.join('\n'), /PID 1 ends with code 0; the machine is powered off/);
  });
});
