import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  createMappedDevice,
  type MountPoint,
  mount,
  mounts,
  readFirstBlock,
  removeMappedDevice,
  type Syscalls,
  verityTarget,
} from '@kata-agent/linux';
import { CannotApply } from '../cannot-apply.js';
import type { ExtensionVerity, GuestExtension } from './guest-extensions.js';
import { loadModule } from './modules.js';
import type { Complaint } from './run-tool.js';

/** Where Kata's units mount extensions, each in a directory of its name. */
const extensionsDirectory = '/run/kata-extensions';

/** The guest in which an extension is mounted; tests replace its parts. */
export interface ExtensionGuest {
  readonly syscalls: Syscalls;
  /** Seconds to wait for the disk: its driver may be a module that has just been loaded. */
  readonly timeout: number;
  readonly sys: string;
  readonly dev: string;
  readonly directory: string;
  readonly loadModule: (name: string) => Complaint;
  readonly mounts: () => readonly Pick<MountPoint, 'target'>[];
}

export function extensionGuest(syscalls: Syscalls, timeout: number): ExtensionGuest {
  return {
    syscalls,
    timeout,
    sys: '/sys',
    dev: '/dev',
    directory: extensionsDirectory,
    loadModule: (name) => loadModule(name),
    mounts: () => mounts(),
  };
}

/** The longest serial number that a virtio-blk disk has (VIRTIO_BLK_ID_BYTES of linux/virtio_blk.h). */
const serialBytes = 20;

const pollMs = 50;

/**
 * Mounts an extension read-only, as Kata's kata-extension-mount.sh does under systemd. Its disk has the serial number
 * `extension-NAME`; its first partition the file system, erofs; its second, if there is one, the hash tree of dm-verity.
 * Parameters without a hash tree, and a hash tree without parameters, are an error: the host could otherwise remove the
 * parameters of a verified image. Does nothing and returns false if an
 * init has mounted it.
 *
 * @throws CannotApply; then nothing is mounted.
 */
export async function mountExtension(
  { name, verity }: GuestExtension,
  guest: ExtensionGuest,
): Promise<boolean> {
  const place = join(guest.directory, name);
  if (guest.mounts().some(({ target }) => target === place)) return false;
  const disk = await findDisk(name, guest);
  const data = partition(disk, 1);
  const hashes = partition(disk, 2);
  if (verity === undefined && hashes !== undefined)
    throw new CannotApply(`extension image ${name}: it has dm-verity, but verity_params has no root hash`, {
      help: 'set verity_params of the image in guest_extension_images',
    });
  if (verity !== undefined && (data === undefined || hashes === undefined))
    throw new CannotApply(`extension image ${name}: verity_params has a root hash, but it has no hash tree`, {
      help: 'attach an image that was built with dm-verity',
    });
  mkdirSync(place, { recursive: true, mode: 0o755 });
  if (verity === undefined || data === undefined || hashes === undefined) {
    mountImage(name, join(guest.dev, (data ?? disk).node), place, guest);
    return true;
  }
  const device = openExtension(name, verity, { data, hashes }, guest);
  try {
    checkFirstBlock(name, device, verity);
    mountImage(name, device, place, guest);
  } catch (error) {
    removeMappedDevice(guest.syscalls, controlOf(guest), deviceName(name));
    throw error;
  }
  return true;
}

/** A disk or partition. */
interface Disk {
  /** Its directory in sysfs. */
  readonly path: string;
  /** Its name in /dev. */
  readonly node: string;
}

async function findDisk(name: string, { sys, timeout }: ExtensionGuest): Promise<Disk> {
  const directory = join(sys, 'block');
  const serial = deviceName(name).slice(0, serialBytes);
  const find = (): string[] =>
    readdirSync(directory).filter((node) => {
      const file = join(directory, node, 'serial');
      return existsSync(file) && readFileSync(file, 'latin1').replace(/[\n\0]+$/, '') === serial;
    });
  const end = performance.now() + timeout * 1000;
  let found = find();
  while (found.length === 0 && performance.now() < end) {
    await delay(pollMs);
    found = find();
  }
  const [node, second] = found;
  if (node === undefined)
    throw new CannotApply(`extension image ${name}: there is no disk with the serial number ${serial}`, {
      help: 'use a hypervisor for which the runtime attaches guest_extension_images (QEMU)',
    });
  if (second !== undefined)
    throw new CannotApply(
      `extension image ${name}: two disks, ${node} and ${second}, have the serial number ${serial}`,
      { help: 'attach only one of them' },
    );
  return { path: join(directory, node), node };
}

/** Returns a partition of a disk by its number. The kernel has read the partition table before the disk appears. */
function partition(disk: Disk, wanted: number): Disk | undefined {
  for (const node of readdirSync(disk.path).toSorted()) {
    const path = join(disk.path, node);
    const file = join(path, 'partition');
    if (existsSync(file) && Number(readFileSync(file, 'latin1')) === wanted) return { path, node };
  }
  return undefined;
}

function openExtension(
  name: string,
  verity: ExtensionVerity,
  { data, hashes }: { readonly data: Disk; readonly hashes: Disk },
  guest: ExtensionGuest,
): string {
  const complaint = guest.loadModule('dm_verity');
  // The partition has no superblock before the tree.
  const table = verityTarget({
    ...verity,
    format: 1,
    data: numberOf(data),
    hashes: numberOf(hashes),
    firstHashBlock: 0,
    algorithm: 'sha256',
  });
  try {
    return join(guest.dev, createMappedDevice(guest.syscalls, controlOf(guest), deviceName(name), table));
  } catch (cause) {
    throw new CannotApply(
      `extension image ${name}: dm-verity cannot be opened: ${reasonOf(cause)}${complaint === undefined ? '' : ` (${complaint})`}`,
      {
        cause,
        help: "compare verity_params with the image, and check that the guest's kernel has dm_verity",
      },
    );
  }
}

function checkFirstBlock(name: string, device: string, { rootHash, dataBlockSize }: ExtensionVerity): void {
  try {
    readFirstBlock(device, dataBlockSize);
  } catch (cause) {
    throw new CannotApply(
      `extension image ${name} does not match its root hash ${rootHash}: ${reasonOf(cause)}`,
      { cause, help: 'attach the image that the root hash was computed for' },
    );
  }
}

function mountImage(name: string, source: string, target: string, { syscalls }: ExtensionGuest): void {
  try {
    mount(syscalls, { source, target, type: 'erofs', options: ['ro', 'nosuid', 'nodev'] });
  } catch (cause) {
    throw new CannotApply(`extension image ${name} cannot be mounted: ${reasonOf(cause)}`, {
      cause,
      help: "check that it is an EROFS image, and that the guest's kernel has erofs",
    });
  }
}

function numberOf({ path }: Disk): string {
  return readFileSync(join(path, 'dev'), 'latin1').trim();
}

/** Kata's names: of the disk's serial number, and of the mapped device. */
function deviceName(name: string): string {
  return `extension-${name}`;
}

function controlOf({ dev }: ExtensionGuest): string {
  return join(dev, 'mapper/control');
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
