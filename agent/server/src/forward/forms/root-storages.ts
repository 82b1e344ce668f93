// Storages that are the root of a container: an image that the guest pulls, layers, an overlay of layers.
import { kataDirectory } from '@kata-agent/catalogue';
import { isOfSandbox } from '@kata-agent/catalogue/requested-root';
import type { Storage } from '@kata-agent/protocol/agent';
import { nameIn, rootPaths, trustHostHelp, trustsHostFiles } from './shared-paths.js';
import { hasControl, malformed, quoted, refused } from './values.js';
import {
  checkSource,
  checkUnused,
  sourceAndType,
  type StorageParts,
  type StorageReading,
  wrongPlace,
} from './storage-reading.js';

const createDirectory = 'io.katacontainers.volume.overlayfs.create_directory=';

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

/** Source: Kata, kata_agent.go:1935-1997, virtual_volume.rs:103-143; image_pull_handler.rs:44-91. */
export function imageForm(reading: StorageReading): StorageParts {
  const { storage, at, container, annotations, storages } = reading;
  checkUnused(reading, 'driver_options');
  const { source, fstype, options, driverOptions, mountPoint } = storage;
  if (container === undefined) throw refused(at, 'only a container has an image');
  if (fstype !== 'overlay') throw refused(`${at}.fstype`, `${quoted(fstype)} is not "overlay"`);
  if (options.length > 0) throw refused(`${at}.options`, 'no runtime sets options of an image');
  if (mountPoint !== `${kataDirectory}/${container}/rootfs`)
    throw wrongPlace(reading, `${kataDirectory}/${container}/rootfs`);
  if (storages.filter(({ driver }) => driver === storage.driver).length > 1)
    throw malformed(at, 'a container has one image');
  if (source === '' || hasControl(source))
    throw malformed(`${at}.source`, `${quoted(source)} is not the name of an image`);
  const metadata = metadataOf(driverOptions, `${at}.driver_options`);
  checkOneImage(source, metadata, annotations, `${at}.driver_options`);
  return { source, fstype, options: [], driverOptions };
}

/** Annotations with the name of a container's image, which rules and records see. */
const imageNames = ['io.kubernetes.cri.image-name', 'io.kubernetes.cri-o.ImageName'];

/**
 * Kata's agent pulls the image of the source, takes the pause image by the metadata, and its process by the annotations
 * (confidential_data_hub/image.rs:132-167): they must be of one image.
 */
function checkOneImage(source: string, metadata: Texts, annotations: Texts, field: string): void {
  if (isOfSandbox(metadata) !== isOfSandbox(annotations))
    throw refused(
      field,
      'the metadata and the annotations disagree about whether this is the pause container',
      'send the annotations of the container as metadata',
    );
  if (isOfSandbox(annotations)) return;
  const named = [metadata, annotations].flatMap((texts) => imageNames.map((name) => texts[name] ?? ''));
  const other = named.find((name) => name !== '' && name !== source);
  if (other !== undefined)
    throw refused(
      field,
      `the source is the image ${quoted(source)}, and the container is named as one of ${quoted(other)}`,
    );
}

type Texts = Readonly<Record<string, string>>;

const pullOption = 'image_guest_pull=';

function metadataOf(driverOptions: readonly string[], field: string): Readonly<Record<string, string>> {
  const [option = '', ...rest] = driverOptions;
  if (rest.length > 0 || !option.startsWith(pullOption))
    throw malformed(field, `it must be one option, ${pullOption}{"metadata":{…}}`);
  const text = option.slice(pullOption.length);
  const metadata = textsIn(text);
  // Only the one text of a value is forwarded: a key that is given twice has two readings.
  const written = JSON.stringify({ metadata });
  if (metadata !== undefined && (text === written || text === asGoWrites(written))) return metadata;
  throw malformed(
    field,
    `${quoted(option)} is not ${pullOption}{"metadata":{…}} with texts, as the runtimes write it`,
  );
}

function textsIn(json: string): Readonly<Record<string, string>> | undefined {
  try {
    const parsed = JSON.parse(json) as { readonly metadata?: unknown } | null;
    const metadata = parsed?.metadata;
    if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) return undefined;
    const isText = Object.values(metadata).every((each) => typeof each === 'string');
    return isText ? (metadata as Record<string, string>) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Go's encoding/json escapes these for HTML. */
function asGoWrites(json: string): string {
  return json.replace(/[<>&\u2028\u2029]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

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
