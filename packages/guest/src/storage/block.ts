import type { Storage } from '../actions.js';
import type { Wanted } from '../device/find-device.js';
import { type BlockDriver, blockDrivers, wantedBlock } from '../device/wanted-block.js';
import { GuestError } from '../guest-error.js';
import { applyFsGroup } from './fs-group.js';
import { makeFileSystem } from './make-file-system.js';
import { kernelOptions, mountAt } from './mount-point.js';
import type { StorageContext, StorageDriver } from './storage-driver.js';
import { openVerity, type Verity, verityOf } from './verity.js';

/** File systems that a disk may hold. A kernel's driver is asked to read what the host wrote, so there are few. */
const fileSystems: ReadonlySet<string> = new Set(['ext4', 'xfs', 'erofs', 'btrfs', 'squashfs']);

/** Options of those file systems that the runtimes send, beside the ones that all have. */
const knownOptions: ReadonlySet<string> = new Set([
  'nouuid',
  'dax',
  'discard',
  'nodiscard',
  'noload',
  'norecovery',
  'data=ordered',
  'data=writeback',
  'errors=remount-ro',
  'errors=continue',
  'errors=panic',
]);

/** A driver option: the disk is fresh, and gets a file system first (Kata 4.1, src/libs/kata-types/src/mount.rs). */
const CREATE_FILE_SYSTEM = 'create_filesystem';
const ENCRYPT = 'encryption_key=ephemeral';

/** Disks with a file system, one driver for each way by which the host attaches them. */
export const blockStorages: readonly StorageDriver[] = blockDrivers.map((name) => ({
  name,
  ofPod: false,
  needs: (storage: Storage) => [planOf(name, storage).wanted],
  prepare: (storage: Storage, context: StorageContext) => prepare(planOf(name, storage), storage, context),
}));

/** What is to be done with a disk, as far as it can be told without it. */
interface Plan {
  readonly wanted: Wanted;
  readonly options: readonly string[];
  readonly verity: Verity | undefined;
}

function planOf(driver: BlockDriver, { source, fstype, driverOptions, options }: Storage): Plan {
  if (!fileSystems.has(fstype)) {
    const all = [...fileSystems].join(', ');
    throw new GuestError('refused', `file system ${JSON.stringify(fstype)} of a disk is not one of ${all}`);
  }
  if (driverOptions.includes(ENCRYPT)) {
    throw new GuestError('unimplemented', `${ENCRYPT} is not built yet (docs/reference/differences.md)`);
  }
  return {
    wanted: wantedBlock(driver, source),
    options: kernelOptions(options, knownOptions),
    verity: verityOf(options),
  };
}

async function prepare(
  { wanted, options, verity }: Plan,
  storage: Storage,
  context: StorageContext,
): Promise<void> {
  const { fstype, driverOptions } = storage;
  const disk = context.devices.find(wanted);
  context.made.push(`disk ${disk}`, context.disks.take(disk));
  if (driverOptions.includes(CREATE_FILE_SYSTEM)) await makeFileSystem(disk, fstype, context.tools);
  const device = verity === undefined ? disk : await openVerity(disk, verity, context);
  mountAt({ source: device, fstype, options }, context);
  await applyFsGroup(storage, context);
}
