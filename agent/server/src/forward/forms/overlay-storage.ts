// The root of a container that is an overlay of layers.
import { kataDirectory } from '@kata-agent/catalogue';
import { quoted, refused } from './not-alike.js';
import { nameIn, trustHostHelp, trustsHostFiles } from './shared-paths.js';
import {
  type StorageReading,
  type StorageParts,
  checkUnused,
  checkSource,
  wrongPlace,
  sourceAndType,
} from './storage-reading.js';

const createDirectory = 'io.katacontainers.volume.overlayfs.create_directory=';

/**
 * An overlay of layers that storages of the same request mount (Kata, fs_share_linux.go:594-670). Its upper is a directory of
 * the container's bundle: in a disk of the host it could be a link.
 */
export function overlayForm(reading: StorageReading): StorageParts {
  const { storage, at, container, storages, context } = reading;
  checkUnused(reading, 'driver_options');
  checkSource(reading, 'overlay', 'overlay');
  if (container === undefined || storage.mountPoint !== `${kataDirectory}/${container}/rootfs`)
    throw wrongPlace(reading, `${kataDirectory}/CID/rootfs`);
  const layers = storages.filter((each) => nameIn('virtual-volumes', each.mountPoint) !== undefined);
  const isLayer = (path: string): boolean => layers.some(({ mountPoint }) => mountPoint === path);
  const [lower = '', upper = '', work = '', ...rest] = storage.options;
  const lowers = lower.startsWith('lowerdir=') ? lower.slice('lowerdir='.length).split(':') : [];
  if (
    rest.length > 0 ||
    lowers.length === 0 ||
    !lowers.every(isLayer) ||
    new Set(lowers).size !== lowers.length
  )
    throw refused(
      `${at}.options`,
      `${quoted(lower)}: an overlay is of layers that this request mounts below ${kataDirectory}/virtual-volumes, each once`,
    );
  const own = `${kataDirectory}/${container}`;
  const onDisk = layers.find(({ mountPoint }) => upper === `upperdir=${mountPoint}/upper`);
  const isOnDisk =
    onDisk !== undefined &&
    work === `workdir=${onDisk.mountPoint}/work` &&
    !lowers.includes(onDisk.mountPoint);
  if (!(upper === `upperdir=${own}/fs` && work === `workdir=${own}/work`) && !isOnDisk)
    throw refused(`${at}.options`, `${quoted(upper)} is not the upper directory of this container`);
  if (isOnDisk && !trustsHostFiles(context))
    throw refused(
      `${at}.options`,
      'the upper directory is on a disk of the host, where it can be a link',
      trustHostHelp,
    );
  const wanted = [upper, work].map((option) => `${createDirectory}${option.slice(option.indexOf('=') + 1)}`);
  if (
    storage.driverOptions.length !== 2 ||
    storage.driverOptions.some((option, index) => option !== wanted[index])
  )
    throw refused(`${at}.driver_options`, 'they must create the upper and the work directory, in this order');
  return { ...sourceAndType(storage), options: [lower, upper, work], driverOptions: wanted };
}
