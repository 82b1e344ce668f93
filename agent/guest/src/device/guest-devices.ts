import { lstatSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { contains } from '../paths/clean-path.js';
import type { OciDevice } from '../request/oci-spec.js';
import { type DeviceNumber, deviceNumber } from './device-number.js';
import type { DeviceRoots } from './find-device.js';
import { names } from './pci-path.js';

/** The connection manager, which all InfiniBand devices share. */
const shared = 'rdma_cm';

const permissions = 0o7777;

/** The guest's character devices, from its kernel. */
export interface GuestDevices {
  /** Returns the number of a node below /dev; undefined: there is no character device at that path. */
  numberOf(path: string): DeviceNumber | undefined;
  /** Returns the kernel's name of a device: `fuse`, `net/tun`; undefined: there is no device with that number. */
  nameOf(number: DeviceNumber): string | undefined;
  /** Returns all character devices. */
  list(): readonly DeviceNumber[];
}

/** Reads /dev and /sys on every call: devices can be plugged and unplugged. */
export function guestDevices({ dev, sys }: { readonly dev: string; readonly sys: string }): GuestDevices {
  const numbers = join(sys, 'dev/char');
  return {
    numberOf(path) {
      const node = join(dev, path.replace(/^\/dev\//, ''));
      const stat = lstatSync(node, { bigint: true, throwIfNoEntry: false });
      return stat?.isCharacterDevice() === true ? deviceNumber(stat.rdev) : undefined;
    },
    nameOf({ major, minor }) {
      try {
        const uevent = readFileSync(join(numbers, `${major}:${minor}`, 'uevent'), 'utf8');
        return /^DEVNAME=(.+)$/m.exec(uevent)?.[1];
      } catch (error) {
        if (hasCode(error, 'ENOENT', 'ENODEV')) return undefined;
        throw error;
      }
    },
    list: () =>
      readdirSync(numbers).flatMap((name) => {
        const [major = NaN, minor = NaN] = name.split(':').map(Number);
        return Number.isInteger(major) && Number.isInteger(minor) ? [{ major, minor }] : [];
      }),
  };
}

/**
 * Devices for attestation: a process that opens one can request evidence of its choice in the guest's name. No
 * container gets one, whatever the configuration says.
 */
const evidence = /^(?:tpm|tpm\d+|tpmrm\d+|vtpmx|sev|sev-guest|tdx_guest|tdx-guest|tdx-attest)$/;

/** The TPM's fixed number (Documentation/admin-guide/devices.txt): it may appear later. */
const firstTpm = '10:224';

/** Reports whether a path or number is, or can become, that of a device for attestation. */
export function isEvidence(
  device: DeviceNumber & { readonly path?: string },
  guest: Pick<GuestDevices, 'nameOf'>,
): boolean {
  const { path = '', major, minor } = device;
  const name = path.replace(/\/+/g, '/').replace(/^\/dev\//, '');
  if (evidence.test(name) || `${major}:${minor}` === firstTpm) return true;
  return evidence.test(guest.nameOf(device) ?? '');
}

/**
 * Refuses devices of a container with a user namespace that the guest has not under the same path. Nobody creates
 * devices there, so the OCI runtimes bind the guest's own node with the container's path, whatever number it has.
 */
export function checkBoundNodes(devices: readonly OciDevice[], dev: string): void {
  for (const { path, major, minor, type } of devices) {
    if (type !== 'c' && type !== 'u' && type !== 'b') continue;
    const found = numberOf(join(dev, relative('/dev', path)));
    if (found === `${type === 'b' ? 'b' : 'c'} ${major}:${minor}`) continue;
    throw new GuestError(
      'precondition',
      `device ${path} (${type} ${major}:${minor}) cannot be passed to a container with a user namespace: the guest has ${found ?? 'no device'} at this path; help: request the device under the guest's own path, or remove the user namespace`,
    );
  }
}

function numberOf(path: string): string | undefined {
  try {
    const stat = statSync(path, { bigint: true });
    const { major, minor } = deviceNumber(stat.rdev);
    if (stat.isCharacterDevice()) return `c ${major}:${minor}`;
    return stat.isBlockDevice() ? `b ${major}:${minor}` : undefined;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** A character device that the agent adds, by the guest's number. */
export interface InjectedDevice {
  readonly node: OciDevice;
  /** Some of `rwm`. */
  readonly access: string;
}

/**
 * Returns the InfiniBand nodes that the guest's kernel has for PCI devices (`/dev/infiniband/uverbs0`), and the connection
 * manager's: a container whose network card the guest's kernel drives uses RDMA through them. Kata's agent gives each
 * container with such a device all nodes in /dev/infiniband.
 *
 * @param directories the devices' directories in sysfs
 */
export function infinibandDevices(
  directories: readonly string[],
  { sys, dev }: DeviceRoots,
): readonly InjectedDevice[] {
  const parent = join(dev, 'infiniband');
  const owned = directories.map((directory) => realpathSync(directory));
  const nodes = names(parent).flatMap((name) => {
    const stat = lstatSync(join(parent, name), { bigint: true });
    if (!stat.isCharacterDevice()) return [];
    const { major, minor } = deviceNumber(stat.rdev);
    const place = realIfThere(join(sys, 'dev/char', `${major}:${minor}`));
    const isOwn = place !== undefined && owned.some((directory) => contains(directory, place));
    const node = {
      path: `/dev/infiniband/${name}`,
      type: 'c',
      major,
      minor,
      fileMode: Number(stat.mode) & permissions,
      uid: Number(stat.uid),
      gid: Number(stat.gid),
    };
    return [{ isOwn, device: { node, access: 'rwm' } }];
  });
  if (!nodes.some(({ isOwn }) => isOwn)) return [];
  return nodes
    .filter(({ isOwn, device }) => isOwn || device.node.path.endsWith(`/${shared}`))
    .map(({ device }) => device);
}

function realIfThere(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
