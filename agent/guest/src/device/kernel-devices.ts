import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';

/** What the guest's kernel has made of a device: names in /sys/class/block and /sys/class/net. */
export interface KernelDevices {
  readonly blocks: readonly string[];
  readonly links: readonly string[];
}

/**
 * Finds all disks and network interfaces of a PCI device, such as every namespace of an NVMe controller and every port
 * of a network adapter. Follows no link, so that it stays below the device's directory in sysfs.
 */
export function kernelDevicesBelow(directory: string): KernelDevices {
  const blocks: string[] = [];
  const links: string[] = [];
  const pending = [directory];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      const { name } = entry;
      const namespace = /^nvme(\d+)(?:c\d+)?n(\d+)$/.exec(name);
      if (basename(path) === 'net') links.push(name);
      else if (basename(path) === 'block') blocks.push(name);
      // With native multipath the controller has nvme0c0n1, and the disk is nvme0n1 (Linux, drivers/nvme/host/multipath.c).
      else if (namespace !== null) blocks.push(`nvme${namespace[1]}n${namespace[2]}`);
      else pending.push(join(path, name));
    }
  }
  return { blocks, links };
}
