import { linkAtPci } from '../device/find-device.js';
import { parsePciPath } from '../device/pci-path.js';
import type { Guest } from '../guest.js';
import type { Interface } from '../network/network-values.js';
import { updateInterface as update } from '../network/update-interface.js';

export function updateInterface(guest: Guest, wanted: Interface): Promise<void> {
  const { tools, paths, devices } = guest.context;
  const linkOfDevice = async (devicePath: string): Promise<string> =>
    devices.waitFor(`a link at PCI path ${devicePath}`, linkAtPci(parsePciPath(devicePath)));
  return guest.change(() => update(wanted, { tools, proc: paths.proc, linkOfDevice }));
}
