import { create } from '@bufbuild/protobuf';
import { type Storage, StorageSchema } from '@kata-agent/protocol/agent';
import type { FormContext, ForwardedStorage } from './forwarded-sandbox.js';
import { checkCleanPath, checkDistinct, quoted, refused } from './values.js';
import type { StorageOwner, StorageReading, StorageParts } from './storage-reading.js';
import { ephemeralForm, localForm, virtioFsForm, watchableBindForm } from './volume-storages.js';
import { imageForm, layerMark, overlayForm } from './root-storages.js';
import { diskForm } from './disk-storages.js';

/** A storage that both agents read alike. */
export interface StorageForm extends ForwardedStorage {
  /** Built from what was read. */
  readonly message: Storage;
}

/**
 * The storages that Kata's runtimes send and Kata's agent mounts, one reader for each driver. Others are refused by name. The
 * mount points are those of the runtimes: the agent creates and changes any directory that is named (local_handler.rs:35-61).
 */
const drivers: ReadonlyMap<string, (reading: StorageReading) => StorageParts> = new Map([
  ['virtio-fs', virtioFsForm],
  ['ephemeral', ephemeralForm],
  ['local', localForm],
  ['watchable-bind', watchableBindForm],
  ['image_guest_pull', imageForm],
  ['overlayfs', overlayForm],
  ['blk', diskForm],
  ['scsi', diskForm],
  ['blk-ccw', diskForm],
  ['mmioblk', diskForm],
  ['nvdimm', diskForm],
]);

const names: string = [...drivers.keys()].join(', ');

/** @throws NotAlike */
export function readStorages(
  owner: StorageOwner,
  context: FormContext,
  field = 'storages',
): readonly StorageForm[] {
  const places = owner.storages.filter(({ options }) => !options.includes(layerMark));
  checkDistinct(
    `${field}.mount_point`,
    places.map((storage) => withoutFinalSlash(storage)),
  );
  return owner.storages.map((storage, index) => {
    const at = `${field}[${index}]`;
    const read = drivers.get(storage.driver);
    if (read === undefined)
      throw refused(`${at}.driver`, `${quoted(storage.driver)} is not forwarded`, `use one of ${names}`);
    checkCleanPath(`${at}.mount_point`, withoutFinalSlash(storage));
    const { driver, mountPoint } = storage;
    const {
      disk: named,
      driverOptions = [],
      fsGroup,
      shared = false,
      ...parts
    } = read({
      ...owner,
      storage,
      at,
      context,
    });
    const message = create(StorageSchema, {
      driver,
      driverOptions: [...driverOptions],
      source: parts.source,
      fstype: parts.fstype,
      options: [...parts.options],
      mountPoint,
      ...(fsGroup === undefined ? {} : { fsGroup: { ...fsGroup } }),
      shared,
    });
    const group = fsGroup === undefined ? '' : `${fsGroup.groupId}/${fsGroup.groupChangePolicy}`;
    const identity = JSON.stringify([
      driver,
      driverOptions,
      parts.source,
      parts.fstype,
      parts.options,
      group,
      shared,
    ]);
    return { mountPoint, identity, message, ...(named === undefined ? {} : { disk: named }) };
  });
}

/** Both runtimes write the share's mount point with a slash at its end. */
function withoutFinalSlash({ driver, mountPoint }: Storage): string {
  return driver === 'virtio-fs' ? mountPoint.replace(/\/$/, '') : mountPoint;
}
