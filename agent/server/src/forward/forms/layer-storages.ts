// Disks that are layers of a root.
import type { Storage } from '@kata-agent/protocol/agent';
import { malformed, quoted, refused } from './not-alike.js';
import { rootPaths, trustHostHelp, trustsHostFiles } from './shared-paths.js';
import type { StorageReading } from './storage-reading.js';

/** Options of layers (src/agent/src/storage/multi_layer_erofs.rs:51-77), with the values that both agents read alike. */
export const layerOptions: readonly RegExp[] = [
  /^X-kata\.multi-layer=true$/,
  /^X-kata\.overlay-(?:upper|lower)$/,
  /^X-kata\.gpt-partitioned=true$/,
  /^X-kata\.partition-number=[1-9]\d{0,2}$/,
  /^X-kata\.dmverity-enabled=true$/,
  /^X-kata\.dmverity\.roothash=[0-9a-f]{64}$/,
  /^X-kata\.dmverity\.hashoffset=[1-9]\d{0,14}$/,
  /^X-kata\.dmverity\.(?:blocksize|hashsize)=4096$/,
  /^X-kata\.dmverity\.algorithm=sha256$/,
  /^X-kata\.dmverity\.hashtype=1$/,
  /^X-kata\.dmverity\.salt=(?:-|(?:[0-9a-f]{2}){1,256})$/,
  /^X-kata\.dmverity\.no-superblock=(?:true|false)$/,
  /^X-kata\.mkdir\.path=\{\{ mount 0 \}\}\/(?:upper|work)(?::[0-9:]{0,40})?$/,
];

export const layerMark = 'X-kata.multi-layer=true';

/** All layers of a request are one root (handle_multi_layer_erofs_group), whatever their mount points are. */
export function checkLayer({ storage, at, container, storages, context }: StorageReading): void {
  const { driver, fstype, options, driverOptions, fsGroup, shared, mountPoint } = storage;
  if (container === undefined || (driver !== 'blk' && driver !== 'scsi'))
    throw refused(at, `driver ${driver} has no layers of a root here`);
  if (driverOptions.length > 0 || fsGroup !== undefined || shared)
    throw refused(at, 'a layer has no driver options and no fs_group, and is not shared');
  if (!rootPaths(container).has(mountPoint))
    throw refused(`${at}.mount_point`, `${quoted(mountPoint)} is not the root of container ${container}`);
  if (storages.some((each) => each.options.includes(layerMark) && each.mountPoint !== mountPoint))
    throw malformed(`${at}.mount_point`, 'the layers of a root have one mount point');
  const keys = options
    .map((option) => option.split('=', 1)[0] ?? '')
    .filter((name) => name !== 'X-kata.mkdir.path');
  const twice = keys.find((key, index) => keys.indexOf(key) !== index);
  if (twice !== undefined) throw malformed(`${at}.options`, `${quoted(twice)} is given twice`);
  const isUpper = options.includes('X-kata.overlay-upper');
  if (isUpper === options.includes('X-kata.overlay-lower') || isUpper !== (fstype === 'ext4'))
    throw malformed(`${at}.options`, 'a layer is an upper of ext4 or a lower of erofs');
  const layers = storages.filter((each) => each.options.includes(layerMark));
  if (!layers.some((each) => each.options.includes('X-kata.overlay-lower')))
    throw malformed(at, 'none of the layers is read-only (X-kata.overlay-lower)');
  const address = (each: Storage): string =>
    JSON.stringify([
      each.driver,
      each.source,
      each.options.find((one) => one.startsWith('X-kata.partition-number=')),
    ]);
  if (layers.filter((each) => address(each) === address(storage)).length > 1)
    throw malformed(at, `the request names ${quoted(storage.source)} twice`);
  if (isUpper && storages.filter((each) => each.options.includes('X-kata.overlay-upper')).length > 1)
    throw malformed(`${at}.options`, 'a root has one upper');
  if (isUpper && !trustsHostFiles(context))
    throw refused(
      at,
      'the upper is on a disk of the host, where its directories can be links',
      trustHostHelp,
    );
  if (options.includes('X-kata.gpt-partitioned=true') !== keys.includes('X-kata.partition-number'))
    throw malformed(`${at}.options`, 'a partition has a number');
  const isVerified = options.includes('X-kata.dmverity-enabled=true');
  const named = keys.some((name) => name.startsWith('X-kata.dmverity.'));
  if (
    isVerified !==
      (keys.includes('X-kata.dmverity.roothash') && keys.includes('X-kata.dmverity.hashoffset')) ||
    (named && !isVerified)
  )
    throw malformed(`${at}.options`, 'dm-verity needs dmverity-enabled, roothash and hashoffset');
}
