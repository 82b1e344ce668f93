import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Names of the directories in /sys/devices that are not of PCI devices. */
function others(): readonly string[] {
  return readdirSync('/sys/devices').filter((name) => !name.startsWith('pci'));
}

/**
 * Makes a copy of /sys/devices with other PCI devices, and returns the shell commands that show it in a mount namespace.
 *
 * @param files below the root bus, with their content; none: the machine's devices are kept
 */
export function pciBus(directory: string, files: ReadonlyMap<string, string>): string {
  if (files.size === 0) return ':';
  const devices = join(directory, 'devices');
  for (const name of others()) mkdirSync(join(devices, name), { recursive: true });
  for (const [path, text] of files) {
    const file = join(devices, 'pci0000:00', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  const binds = others().map((name) => `mount --bind '/sys/devices/${name}' '${devices}/${name}'`);
  return [...binds, `mount --rbind '${devices}' /sys/devices`].join(' && ');
}
