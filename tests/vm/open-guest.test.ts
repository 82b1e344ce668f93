import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { configuresInterface } from './configures-interface.js';
import { containersLeaveNothing } from './containers-leave-nothing.js';
import { sideChannelConfiguration } from './side-channel-configuration.js';
import { takesNoMoreModules } from './hardened.js';
import { ext4Disk, imageStorage, openImage, rootDirectory } from './hotplug.js';
import { boot, stop, whyNoMachine } from './machine.js';
import { testSideChannels } from './side-channels.js';
import { runningGuest } from './running-guest.js';
import { vsockFacts, vsockFactsProgram } from './vsock-facts.js';

const skip = whyNoMachine() ?? false;

describe('a guest that is open to its host', { skip }, () => {
  const guest = runningGuest('open-guest', async (directory) => {
    const disks = [ext4Disk(directory, 'rootfs', rootDirectory(directory, 'root'))];
    const overlay = [sideChannelConfiguration(['host', 'cid:1']), await vsockFactsProgram(directory)];
    return boot(await openImage('open-guest'), directory, { disks, overlay, memory: 768 });
  });

  before(async () => {
    await guest.agent.createSandbox({ sandboxId: 'pod', hostname: 'pod', storages: [imageStorage] });
  });

  takesNoMoreModules(guest);
  containersLeaveNothing(guest);
  testSideChannels(guest);
  vsockFacts(guest);
  configuresInterface(guest);

  it('powers off on request', async () => {
    await stop(guest.machine);
    assert.match(guest.machine.lines.join('\n'), /PID 1 ends with code 0; the machine is powered off/);
  });
});
