// Storages on disks that the host attaches.
import { kataDirectory, sharedDirectory } from '@kata-agent/catalogue';
import type { Storage } from '@kata-agent/protocol/agent';
import { FSGroupChangePolicy } from '@kata-agent/protocol/types';
import type { FormContext } from './forwarded-sandbox.js';
import { checkId, isName, isPciPath, malformed, quoted, refused } from './values.js';
import { nameIn, rootPaths, trustHostHelp, trustsHostFiles, volumeNameOf } from './shared-paths.js';
import {
  type StorageReading,
  type StorageParts,
  checkUnused,
  wrongPlace,
  checkOptions,
} from './storage-reading.js';
import { layerOptions, layerMark, checkLayer } from './root-storages.js';

/** Source: Kata, src/agent/src/storage/block_handler.rs:63-160; kata_agent.go:1887-2045, block_rootfs.rs:77-107. */
export function diskForm(reading: StorageReading): StorageParts {
  const { storage, at, container, storages, context } = reading;
  const { driver, source, fstype, mountPoint, driverOptions, fsGroup, shared } = storage;
  checkUnused(reading, 'driver_options', 'fs_group', 'shared');
  checkDiskAddress(`${at}.source`, driver, source, context);
  const own = fileSystems.get(fstype);
  if (own === undefined)
    throw refused(`${at}.fstype`, `${quoted(fstype)} is not one of ${[...fileSystems.keys()].join(', ')}`);
  const isLayer = storage.options.includes(layerMark);
  const options = checkOptions(
    reading,
    (option) =>
      flags.has(option) || own.has(option) || (isLayer && layerOptions.some((known) => known.test(option))),
  );
  if (isLayer) {
    checkLayer(reading);
    return { source, fstype, options };
  }
  const isRoot = container !== undefined && rootPaths(container).get(mountPoint) === 'shared';
  const volume =
    nameIn('sandbox/storage', mountPoint) ??
    nameIn('virtual-volumes', mountPoint) ??
    passthroughVolume(mountPoint);
  if (!isRoot && volume === undefined)
    throw wrongPlace(
      reading,
      `${kataDirectory}/sandbox/storage/NAME, ${kataDirectory}/virtual-volumes/NAME, ${sharedDirectory}/passthrough/NAME, or the root of the container`,
    );
  const isCreated = driverOptions.includes('create_filesystem');
  const strange = driverOptions.find(
    (option) => option !== 'create_filesystem' && option !== 'encryption_key=ephemeral',
  );
  if (strange !== undefined || new Set(driverOptions).size !== driverOptions.length)
    throw refused(`${at}.driver_options`, `${quoted(strange ?? '')} is not known, or is given twice`);
  if (driverOptions.length > 0 && (!isCreated || fstype !== 'ext4' || isRoot))
    throw malformed(
      `${at}.driver_options`,
      'only an ext4 volume is created, and only what is created is encrypted',
    );
  if (fsGroup !== undefined) {
    checkId(`${at}.fs_group.group_id`, fsGroup.groupId);
    if (
      fsGroup.groupChangePolicy !== FSGroupChangePolicy.Always &&
      fsGroup.groupChangePolicy !== FSGroupChangePolicy.OnRootMismatch
    )
      throw malformed(
        `${at}.fs_group.group_change_policy`,
        `${String(fsGroup.groupChangePolicy)} is not known`,
      );
    // Kata's agent changes owners through links to directories (src/agent/src/storage/mod.rs:509-522).
    if (!isCreated && !trustsHostFiles(context))
      throw refused(
        `${at}.fs_group`,
        'the inner agent changes the owner of directories that links of the disk name',
        trustHostHelp,
      );
  }
  if (shared && isRoot) throw refused(`${at}.shared`, 'a root belongs to one container');
  checkNotTwice(reading, storages);
  return { source, fstype, options, driverOptions, fsGroup, shared, disk: `${driver} ${source}` };
}

/**
 * Flags of mount(2) by the names that Kata's agent knows for storages (src/libs/kata-sys-util/src/mount.rs:436-507), without
 * those that make another operation of it: remount, bind and all of propagation. Any other word is data for the file system.
 */
const flags: ReadonlySet<string> = new Set(
  `async atime defaults dev diratime dirsync exec iversion loud mand noatime nodev nodiratime noexec noiversion nomand
  norelatime nostrictatime nosuid relatime ro rw silent strictatime suid sync`.split(/\s+/),
);

/** File systems of disks, and their own options that are passed on as data: those that the runtimes and Kubernetes set. */
const fileSystems: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['ext4', new Set(['discard', 'nodiscard', 'dax', 'noload', 'data=ordered', 'errors=remount-ro'])],
  ['xfs', new Set(['nouuid', 'discard', 'nodiscard', 'dax', 'norecovery', 'noquota'])],
  ['erofs', new Set(['dax'])],
]);

/** Forms of a disk's address, by driver. */
const addresses: ReadonlyMap<string, (source: string) => boolean> = new Map([
  ['blk', isPciPath],
  ['scsi', (source: string) => /^\d{1,3}:\d{1,5}$/.test(source)],
  ['blk-ccw', (source: string) => /^[0-9a-f]\.[0-3]\.[0-9a-f]{4}$/.test(source)],
  ['mmioblk', (source: string) => /^\/dev\/vd[a-z]{1,2}$/.test(source)],
  ['nvdimm', (source: string) => /^\/dev\/pmem[1-9]\d?$/.test(source)],
]);

/** Returns the fault of a disk's address; undefined: it has the form of the driver, and cannot name a disk of the guest. */
export function checkDiskAddress(field: string, driver: string, source: string, context: FormContext): void {
  if (addresses.get(driver)?.(source) !== true)
    throw malformed(field, `${quoted(source)} is not the address of a disk for ${driver}`);
  // A PCI or SCSI address is the host's, and a name can be that of the guest's own disk.
  if (source.startsWith('/dev/') && !trustsHostFiles(context))
    throw refused(field, `${quoted(source)} can be a disk of the guest itself`, trustHostHelp);
}

/** Volumes of runtime-rs with a shared file system, or with one that it stands in for. */
function passthroughVolume(path: string): string | undefined {
  const isThere = path.startsWith(`${sharedDirectory}/passthrough/`);
  const name = isThere ? volumeNameOf(path) : undefined;
  return name !== undefined && isName(name) ? name : undefined;
}

function checkNotTwice({ storage, at }: StorageReading, storages: readonly Storage[]): void {
  const same = storages.filter(
    ({ driver, source, mountPoint }) =>
      (driver === storage.driver && source === storage.source) || mountPoint === storage.mountPoint,
  );
  if (same.length > 1) throw malformed(at, 'the request names its disk or its mount point twice');
}
