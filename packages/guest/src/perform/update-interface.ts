import { linkAtPci, type Wanted } from '../device/find-device.js';
import { parsePciPath } from '../device/pci-path.js';
import type { Guest } from '../guest.js';
import { checkInterface } from '../network/check-network.js';
import type { Interface } from '../network/network-values.js';
import { updateInterface as update } from '../network/update-interface.js';

export function updateInterface(guest: Guest, wanted: Interface): Promise<void> {
  const { tools, paths, devices } = guest.context;
  const linkOfDevice = (devicePath: string): string => devices.find(wantedLink(devicePath));
  return guest.changeWith({
    needs: () => {
      checkInterface(wanted);
      return wanted.devicePath === '' ? [] : [wantedLink(wanted.devicePath)];
    },
    task: () => update(wanted, { tools, proc: paths.proc, linkOfDevice }),
  });
}

function wantedLink(devicePath: string): Wanted {
  return { what: `a link at PCI path ${devicePath}`, find: linkAtPci(parsePciPath(devicePath)) };
}
