import { kataDirectory, sharedDirectory } from '@kata-agent/catalogue';
import { isOfSandbox } from '@kata-agent/catalogue/requested-root';
import { create } from '@bufbuild/protobuf';
import { type Storage, StorageSchema } from '@kata-agent/protocol/agent';
import { FSGroupChangePolicy } from '@kata-agent/protocol/types';
import type { FormContext } from './form-context.js';
import type { ForwardedStorage } from './forwarded-sandbox.js';
import { malformed, quoted, refused } from './not-alike.js';
import { belowShared, nameIn, rootPlaces, trustHostHelp, trustsHostFiles, volumeNameOf } from './places.js';
import {
  checkCleanPath,
  checkDistinct,
  checkId,
  checkText,
  hasControl,
  isName,
  isPciPath,
} from './values.js';

/** The request that a storage is part of. */
export interface StorageOwner {
  /** Undefined: the sandbox. */
  readonly container: string | undefined;
  readonly annotations: Readonly<Record<string, string>>;
  /** All storages of the request. */
  readonly storages: readonly Storage[];
  /** `OCI.Root.Path` of the request. */
  readonly rootPath?: string;
}

/** A storage that both agents read alike. */
export interface StorageForm extends ForwardedStorage {
  /** Built from what was read. */
  readonly message: Storage;
}

interface Reading extends StorageOwner {
  readonly storage: Storage;
  /** `storages[2]` */
  readonly at: string;
  readonly context: FormContext;
}

/** The parts of a storage in one driver's form. */
interface Parts {
  readonly source: string;
  readonly fstype: string;
  readonly options: readonly string[];
  readonly driverOptions?: readonly string[];
  readonly fsGroup?: Storage['fsGroup'];
  readonly shared?: boolean;
  readonly disk?: string;
}

/**
 * The storages that Kata's runtimes send and Kata's agent mounts, one reader for each driver. Others are refused by name. The
 * mount points are those of the runtimes: the agent creates and changes any directory that is named (local_handler.rs:35-61).
 */
const drivers: ReadonlyMap<string, (reading: Reading) => Parts> = new Map([
  ['virtio-fs', virtioFs],
  ['ephemeral', ephemeral],
  ['local', local],
  ['watchable-bind', watchableBind],
  ['image_guest_pull', imageGuestPull],
  ['overlayfs', overlayfs],
  ['blk', disk],
  ['scsi', disk],
  ['blk-ccw', disk],
  ['mmioblk', disk],
  ['nvdimm', disk],
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

/** Refuses what a driver does not read. */
function checkUnused(
  { storage, at }: Reading,
  ...used: readonly ('driver_options' | 'fs_group' | 'shared')[]
): void {
  const { driverOptions, fsGroup, shared } = storage;
  const found = Object.entries({
    driver_options: driverOptions.length > 0,
    fs_group: fsGroup !== undefined,
    shared,
  }).find(([name, isSet]) => isSet && !(used as readonly string[]).includes(name));
  if (found !== undefined)
    throw refused(`${at}.${found[0]}`, `no runtime sets it for driver ${storage.driver}`);
}

function checkSource({ storage, at }: Reading, source: string, fstype: string): void {
  if (storage.source !== source)
    throw refused(`${at}.source`, `${quoted(storage.source)} is not "${source}"`);
  if (storage.fstype !== fstype)
    throw refused(`${at}.fstype`, `${quoted(storage.fstype)} of driver ${storage.driver} is not "${fstype}"`);
}

function wrongPlace({ storage, at }: Reading, where: string): Error {
  return refused(
    `${at}.mount_point`,
    `${quoted(storage.mountPoint)} is not where Kata's runtimes mount driver ${storage.driver}: ${where}`,
  );
}

function checkOptions({ storage, at }: Reading, known: (option: string) => boolean): readonly string[] {
  const strange = storage.options.find((option) => hasControl(option) || !known(option));
  if (strange !== undefined)
    throw refused(`${at}.options`, `${quoted(strange)} is not an option that both agents read alike here`);
  return storage.options;
}

/** Source: Kata, src/runtime/virtcontainers/kata_agent.go:920-944, src/runtime-rs/crates/resource/src/share_fs/share_virtio_fs_standalone.rs:241. */
function virtioFs(reading: Reading): Parts {
  const { storage, at, context } = reading;
  checkUnused(reading);
  checkSource(reading, 'kataShared', 'virtiofs');
  if (reading.container !== undefined) throw refused(at, 'only the sandbox has the share of the host');
  if (storage.mountPoint.replace(/\/$/, '') !== sharedDirectory)
    throw wrongPlace(reading, `${sharedDirectory}/`);
  if (!trustsHostFiles(context))
    throw refused(at, 'the inner agent follows symbolic links in a share of the host', trustHostHelp);
  return {
    ...fixed(storage),
    options: checkOptions(reading, (option) => /^(?:nodev|dax|dax=(?:inode|always|never))$/.test(option)),
  };
}

function fixed({ source, fstype }: Storage): { readonly source: string; readonly fstype: string } {
  return { source, fstype };
}

const sharedMemory = `${kataDirectory}/sandbox/shm`;

/** Source: Kata, kata_agent.go:960-970, 1776-1791, 1822-1836; ephemeral_handler.rs:44-86 ignores all options but fsgid. */
function ephemeral(reading: Reading): Parts {
  const { storage, at, container } = reading;
  checkUnused(reading);
  const { mountPoint, source, fstype } = storage;
  if (mountPoint === sharedMemory) {
    if (container !== undefined) throw refused(at, 'only the sandbox has shared memory');
    checkSource(reading, 'shm', 'tmpfs');
    const options = checkOptions(reading, (option) =>
      /^(?:noexec|nosuid|nodev|mode=1777|size=\d{1,18})$/.test(option),
    );
    return { source, fstype, options };
  }
  if (nameIn('sandbox/ephemeral', mountPoint) === undefined)
    throw wrongPlace(reading, `${sharedMemory}, ${kataDirectory}/sandbox/ephemeral/NAME`);
  if (fstype === 'hugetlbfs') {
    checkSource(reading, 'nodev', 'hugetlbfs');
    if (storage.options.length !== 1)
      throw malformed(`${at}.options`, 'huge pages have one option, "pagesize=BYTES,size=BYTES"');
    return {
      source,
      fstype,
      options: checkOptions(reading, (option) => /^pagesize=[1-9]\d{3,12},size=[1-9]\d{3,15}$/.test(option)),
    };
  }
  checkSource(reading, 'tmpfs', 'tmpfs');
  if (storage.options.length > 1) throw malformed(`${at}.options`, 'the only option is one fsgid=ID');
  return { source, fstype, options: checkOptions(reading, isGroup) };
}

/** An option with a group of files; 4294967295 means "unchanged". */
function isGroup(option: string): boolean {
  return /^fsgid=(?:0|[1-9]\d{0,9})$/.test(option) && Number(option.slice('fsgid='.length)) < 2 ** 32 - 1;
}

/** Source: Kata, kata_agent.go:1844-1885, local_volume.rs:58-79. */
function local(reading: Reading): Parts {
  const { storage, at, context } = reading;
  checkUnused(reading);
  checkSource(reading, 'local', 'local');
  const [pod = '', root, directory, name = '', ...rest] = belowShared(storage.mountPoint) ?? [];
  if (root !== 'rootfs' || directory !== 'local' || rest.length > 0 || !isName(name) || !isName(pod))
    throw wrongPlace(reading, `${sharedDirectory}/SANDBOX/rootfs/local/NAME`);
  const roots = [...context.sandbox.roots, ...(reading.rootPath === undefined ? [] : [reading.rootPath])];
  const isInRoot = roots.some((path) => storage.mountPoint.startsWith(`${path}/`));
  if ((isInRoot || context.sandbox.useOf(pod) === 'volume') && !trustsHostFiles(context))
    throw refused(
      `${at}.mount_point`,
      `${quoted(storage.mountPoint)} is in the root of a container or in a volume, where a link can lead anywhere`,
      trustHostHelp,
    );
  const options = checkOptions(reading, (option) => option === 'mode=0777' || isGroup(option));
  if (options.length > 2 || options[0] !== 'mode=0777')
    throw malformed(`${at}.options`, 'the options are mode=0777 and at most one fsgid=ID');
  return { ...fixed(storage), options };
}

/** Source: Kata, container.go:531-553, virtio_fs_share_mount.rs:103-112; the watcher follows links (src/agent/src/watcher.rs). */
function watchableBind(reading: Reading): Parts {
  const { storage, at, context } = reading;
  checkUnused(reading);
  if (storage.fstype !== 'bind') throw refused(`${at}.fstype`, `${quoted(storage.fstype)} is not "bind"`);
  if (!trustsHostFiles(context))
    throw refused(at, 'the inner agent follows symbolic links in the files that it watches', trustHostHelp);
  checkCleanPath(`${at}.source`, storage.source);
  const name = volumeNameOf(storage.source);
  if (name === undefined || !isName(name))
    throw refused(`${at}.source`, `${quoted(storage.source)} is not a volume directly in ${sharedDirectory}`);
  const [directory, mounted, ...rest] = belowShared(storage.mountPoint) ?? [];
  if (directory !== 'watchable' || mounted !== name || rest.length > 0)
    throw wrongPlace(reading, `${sharedDirectory}/watchable/ and the name of the source`);
  return { ...fixed(storage), options: checkOptions(reading, (option) => bindOptions.has(option)) };
}

/** Options of the mount that the volume is for: the watcher ignores them. */
const bindOptions: ReadonlySet<string> = new Set(
  'bind rbind ro rw nosuid nodev noexec private rprivate slave rslave relatime noatime'.split(' '),
);

/** Source: Kata, kata_agent.go:1935-1997, virtual_volume.rs:103-143; image_pull_handler.rs:44-91. */
function imageGuestPull(reading: Reading): Parts {
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

const createDirectory = 'io.katacontainers.volume.overlayfs.create_directory=';

/**
 * An overlay of layers that storages of the same request mount (Kata, fs_share_linux.go:594-670). Its upper is a directory of
 * the container's bundle: in a disk of the host it could be a link.
 */
function overlayfs(reading: Reading): Parts {
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
  return { ...fixed(storage), options: [lower, upper, work], driverOptions: wanted };
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

/** Options of layers (src/agent/src/storage/multi_layer_erofs.rs:51-77), with the values that both agents read alike. */
const layerOptions: readonly RegExp[] = [
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

const layerMark = 'X-kata.multi-layer=true';

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

/** Source: Kata, src/agent/src/storage/block_handler.rs:63-160; kata_agent.go:1887-2045, block_rootfs.rs:77-107. */
function disk(reading: Reading): Parts {
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
  const isRoot = container !== undefined && rootPlaces(container).get(mountPoint) === 'shared';
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

/** Volumes of runtime-rs with a shared file system, or with one that it stands in for. */
function passthroughVolume(path: string): string | undefined {
  const isThere = path.startsWith(`${sharedDirectory}/passthrough/`);
  const name = isThere ? volumeNameOf(path) : undefined;
  return name !== undefined && isName(name) ? name : undefined;
}

function checkNotTwice({ storage, at }: Reading, storages: readonly Storage[]): void {
  const same = storages.filter(
    ({ driver, source, mountPoint }) =>
      (driver === storage.driver && source === storage.source) || mountPoint === storage.mountPoint,
  );
  if (same.length > 1) throw malformed(at, 'the request names its disk or its mount point twice');
}

/** All layers of a request are one root (handle_multi_layer_erofs_group), whatever their mount points are. */
function checkLayer({ storage, at, container, storages, context }: Reading): void {
  const { driver, fstype, options, driverOptions, fsGroup, shared, mountPoint } = storage;
  if (container === undefined || (driver !== 'blk' && driver !== 'scsi'))
    throw refused(at, `driver ${driver} has no layers of a root here`);
  if (driverOptions.length > 0 || fsGroup !== undefined || shared)
    throw refused(at, 'a layer has no driver options and no fs_group, and is not shared');
  if (!rootPlaces(container).has(mountPoint))
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

/** Reads a storage of UpdateEphemeralMounts: a remount of a volume in memory, or of what was mounted there. */
export function readRemount(storage: Storage, at: string, context: FormContext): Storage {
  const { driver, source, fstype, options, mountPoint, driverOptions, fsGroup, shared } = storage;
  const [remount, size = '', group, ...rest] = options;
  if (driver !== 'ephemeral' || source !== 'tmpfs' || fstype !== 'tmpfs')
    throw refused(
      at,
      `only a tmpfs of driver ephemeral is resized, not ${quoted(fstype)} of ${quoted(driver)}`,
    );
  if (driverOptions.length > 0 || fsGroup !== undefined || shared)
    throw refused(at, 'no runtime sets driver options, fs_group or shared here');
  // Without "remount" a second file system would cover the first (ephemeral_handler.rs:195-226).
  if (
    remount !== 'remount' ||
    !/^size=[1-9]\d{0,11}M$/.test(size) ||
    rest.length > 0 ||
    (group !== undefined && !isGroup(group))
  )
    throw refused(
      `${at}.options`,
      `${quoted(options.join(','))} is not remount, size=NM and at most one fsgid=ID`,
    );
  if (nameIn('sandbox/ephemeral', mountPoint) === undefined || !context.sandbox.hasMountPoint(mountPoint))
    throw refused(`${at}.mount_point`, `${quoted(mountPoint)} is not the mount point of a volume in memory`);
  checkText(`${at}.mount_point`, mountPoint);
  return create(StorageSchema, { driver, source, fstype, options: [...options], mountPoint });
}
