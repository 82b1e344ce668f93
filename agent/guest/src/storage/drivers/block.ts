import type { Storage } from '../../request/actions.js';
import { numberOfNode } from '../../device/device-number.js';
import type { Wanted } from '../../device/find-device.js';
import { type BlockDriver, blockDrivers, wantedBlock } from '../../device/requested-devices.js';
import { rootPaths } from '../../source/source-place.js';
import { GuestError } from '../../guest-error.js';
import { applyFsGroup } from '../fs-group.js';
import { KataOptions } from '../kata-options.js';
import { makeFileSystem, mountEncrypted } from './blank-disk.js';
import { kernelOptions, mountAt } from '../mount-point.js';
import { diskFileSystems, isDiskOption } from '../storage-options.js';
import type { StorageContext, StorageDriver } from './storage-driver.js';
import { openVerity, verityName, verityOf } from './verity.js';
import type { Verity } from './verity-table.js';

/** A driver option: the disk is blank, and is formatted first (Kata 4.1, src/libs/kata-types/src/mount.rs). */
const CREATE_FILE_SYSTEM = 'create_filesystem';
/** A driver option: the blank disk is encrypted with a key that exists in the guest's memory only. */
const ENCRYPTED = 'encryption_key=ephemeral';

/** Volumes, by the name that the runtimes give them. `virtual-volumes` has layers of an image. */
const volumes = ['sandbox/storage/*', 'virtual-volumes/*', 'shared/containers/passthrough/*'];

/** Disks with a file system, one driver for each way of attaching them. */
export const blockStorages: readonly StorageDriver[] = blockDrivers.map((name) => ({
  name,
  ofPod: false,
  mountPoints: [...rootPaths, ...volumes],
  needs: (storage: Storage) => [planOf(name, storage).wanted],
  prepare: (storage: Storage, context: StorageContext) => prepare(planOf(name, storage), storage, context),
}));

/** The plan for a disk, from the request alone. */
interface Plan {
  readonly wanted: Wanted;
  readonly options: readonly string[];
  readonly verity: Verity | undefined;
}

function planOf(driver: BlockDriver, { source, fstype, driverOptions, options }: Storage): Plan {
  if (!diskFileSystems.includes(fstype)) {
    const all = diskFileSystems.join(', ');
    throw new GuestError('refused', `file system ${JSON.stringify(fstype)} of a disk is not one of ${all}`);
  }
  if (driverOptions.includes(ENCRYPTED) && !driverOptions.includes(CREATE_FILE_SYSTEM))
    throw new GuestError(
      'invalid',
      `${ENCRYPTED} of a disk needs ${CREATE_FILE_SYSTEM}: its content is lost`,
    );
  return {
    wanted: wantedBlock(driver, source),
    options: kernelOptions(options, (option) => isDiskOption(fstype, option)),
    verity: verityOf(KataOptions.parse(options, 'disk')),
  };
}

async function prepare(
  { wanted, options, verity }: Plan,
  storage: Storage,
  context: StorageContext,
): Promise<void> {
  const { fstype, driverOptions } = storage;
  const disk = context.devices.find(wanted);
  context.made.push(`disk ${disk}`, await context.disks.take(disk));
  if (driverOptions.includes(ENCRYPTED)) {
    await context.disks.duringMapping(() => mountEncrypted({ disk, ...storage }, context));
    await applyFsGroup(storage, context);
    return;
  }
  if (driverOptions.includes(CREATE_FILE_SYSTEM)) await makeFileSystem(disk, fstype, context.diskPrograms);
  await context.disks.duringMapping(async () => {
    const device =
      verity === undefined
        ? disk
        : await openVerity(
            { number: numberOfNode(disk), named: disk },
            verity,
            verityName(verity, context.place),
            context,
          );
    await context.media.run('refuseSecondDevice', { device, fstype });
    await mountAt({ source: device, fstype, options }, context);
  });
  await applyFsGroup(storage, context);
}
