import { existsSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import type { UndoStack } from '../undo-stack.js';
import { GuestError } from '../guest-error.js';
import type { Disks } from './disks.js';
import type { DeviceRoots } from './find-device.js';
import { readIfThere } from '@kata-agent/base';

const driver = 'vfio-pci';

/** Vendor of virtio devices, which are the guest's own (virtio specification, "PCI Device Discovery"). */
const virtioVendor = '0x1af4';

/** Base class of bridges, in sysfs before subclass and interface (PCI code and ID assignment specification). */
const bridgeClass = /^0x06/;

const interfaceIsUp = 1;

/**
 * The PCI devices that containers drive through VFIO. The guest's kernel knows which of its drivers a device has, but not
 * which container has it: that is registered here, by address.
 */
export class VfioDevices {
  readonly #roots: DeviceRoots;
  readonly #disks: Pick<Disks, 'take'>;
  readonly #containers: Map<string, string> = new Map();

  constructor(roots: DeviceRoots, disks: Pick<Disks, 'take'>) {
    this.#roots = roots;
    this.#disks = disks;
  }

  /**
   * Refuses a device that the guest itself uses, or that another container has. The host names devices by addresses, and
   * only the guest's kernel knows what is there (S11).
   */
  check(directory: string, container: string): void {
    const address = basename(directory);
    const refused = (reason: string): GuestError =>
      new GuestError(
        'refused',
        `PCI device ${address} ${reason}; help: name a device that is passed through`,
      );
    const attribute = (name: string): string => readIfThere(join(directory, name))?.toString().trim() ?? '';
    if (bridgeClass.test(attribute('class'))) throw refused('is a bridge');
    if (attribute('vendor') === virtioVendor) throw refused('is a virtio device of the guest');
    const { links } = kernelDevicesBelow(directory);
    for (const link of links) {
      const flags = readIfThere(join(this.#roots.sys, 'class/net', link, 'flags'))?.toString();
      if (flags !== undefined && (Number(flags) & interfaceIsUp) !== 0)
        throw refused(`is the network interface ${link} of the guest, which is up`);
    }
    const other = this.#containers.get(address);
    if (other !== undefined && other !== container)
      throw new GuestError(
        'refused',
        `PCI device ${address} is a device of container ${other}; help: remove that container first`,
      );
    this.#refuseSharedGroup(address, container);
  }

  /**
   * Takes the disks of a device, which go with its driver; `taken` releases them.
   *
   * @throws GuestError `refused`: one is in use
   */
  async takeDisks(directory: string, taken: UndoStack): Promise<void> {
    const { blocks } = kernelDevicesBelow(directory);
    const nodes = blocks.map((name) => join(this.#roots.dev, name)).filter(existsSync);
    for (const disk of nodes) taken.push(`disk ${disk}`, await this.#disks.take(disk));
  }

  /** A container that opens a group can get all its devices, with the memory that they write to. */
  #refuseSharedGroup(address: string, container: string): void {
    const group = this.#groupLink(address);
    if (group === undefined) return;
    for (const [each, owner] of this.#containers)
      if (owner !== container && this.#groupLink(each) === group)
        throw new GuestError(
          'refused',
          `PCI device ${address} is in IOMMU group ${group} with ${each}, a device of container ${owner}; help: remove that container first`,
        );
  }

  #groupLink(address: string): string | undefined {
    return linkName(join(this.#roots.sys, 'bus/pci/devices', address, 'iommu_group'));
  }

  /**
   * Registers a device of a container. The result gives it back to a driver of the guest's kernel, unless the host has
   * removed it.
   */
  register(address: string, container: string): () => void {
    this.#containers.set(address, container);
    return () => this.giveBack(address);
  }

  /** Gives a device to the driver vfio-pci, whatever driver it has (as driverctl's set-override). */
  bind(address: string): void {
    const { sys } = this.#roots;
    if (driverOf(join(sys, 'bus/pci/devices', address)) === driver) return;
    if (!existsSync(join(sys, 'bus/pci/drivers', driver)))
      throw new GuestError(
        'precondition',
        `the guest has no driver ${driver} for PCI device ${address}; help: use an image whose kernel loads it`,
      );
    rebind(address, driver, sys);
  }

  /** Gives back a device, also one of an unfinished `bind` of an earlier agent process. */
  giveBack(address: string): void {
    const { sys } = this.#roots;
    this.#containers.delete(address);
    const device = join(sys, 'bus/pci/devices', address);
    const override = readIfThere(join(device, 'driver_override'))?.toString().trim();
    if (driverOf(device) === driver || override === driver) rebind(address, '', sys);
  }

  /**
   * Returns the number of a device's IOMMU group, which names its node in /dev/vfio.
   *
   * @throws GuestError `precondition`: it has none, so it cannot be driven through VFIO
   */
  groupOf(address: string): number {
    const link = this.#groupLink(address);
    if (link !== undefined && /^\d+$/.test(link)) return Number(link);
    throw new GuestError(
      'precondition',
      `PCI device ${address} has no IOMMU group; help: use a virtual machine with an IOMMU, or vfio_mode = "guest-kernel"`,
    );
  }
}

/** `to`: the only driver that may take the device; empty: any that knows it. */
function rebind(address: string, to: string, sys: string): void {
  const device = join(sys, 'bus/pci/devices', address);
  // A newline alone removes the override.
  writeFileSync(join(device, 'driver_override'), to === '' ? '\n' : to);
  if (driverOf(device) !== undefined) writeFileSync(join(device, 'driver/unbind'), address);
  writeFileSync(join(sys, 'bus/pci/drivers_probe'), address);
}

function driverOf(device: string): string | undefined {
  return linkName(join(device, 'driver'));
}

/** Returns the last component of a link's target; undefined: there is no link. */
function linkName(path: string): string | undefined {
  try {
    return basename(readlinkSync(path));
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EINVAL')) return undefined;
    throw error;
  }
}

/** What the guest's kernel has made of a device: names in /sys/class/block and /sys/class/net. */
interface KernelDevices {
  readonly blocks: readonly string[];
  readonly links: readonly string[];
}

/**
 * Finds all disks and network interfaces of a PCI device, such as every namespace of an NVMe controller and every port
 * of a network adapter. Follows no link, so that it stays below the device's directory in sysfs.
 */
function kernelDevicesBelow(directory: string): KernelDevices {
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
