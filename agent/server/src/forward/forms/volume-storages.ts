// Storages of volumes: in the memory of the guest, and on the share of the host.
import { kataDirectory, sharedDirectory } from '@kata-agent/catalogue';
import { create } from '@bufbuild/protobuf';
import { type Storage, StorageSchema } from '@kata-agent/protocol/agent';
import type { FormContext } from './forwarded-sandbox.js';
import { checkCleanPath, checkText, isName, malformed, quoted, refused } from './values.js';
import { belowShared, nameIn, trustHostHelp, trustsHostFiles, volumeNameOf } from './shared-paths.js';
import {
  checkOptions,
  checkSource,
  checkUnused,
  isGroup,
  sourceAndType,
  type StorageParts,
  type StorageReading,
  wrongPlace,
} from './storage-reading.js';

/** Options of the mount that the volume is for: the watcher ignores them. */
const bindOptions: ReadonlySet<string> = new Set(
  'bind rbind ro rw nosuid nodev noexec private rprivate slave rslave relatime noatime'.split(' '),
);

const sharedMemory = `${kataDirectory}/sandbox/shm`;

/** Source: Kata, kata_agent.go:960-970, 1776-1791, 1822-1836; ephemeral_handler.rs:44-86 ignores all options but fsgid. */
export function ephemeralForm(reading: StorageReading): StorageParts {
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

/** Source: Kata, kata_agent.go:1844-1885, local_volume.rs:58-79. */
export function localForm(reading: StorageReading): StorageParts {
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
  return { ...sourceAndType(storage), options };
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

/** Source: Kata, src/runtime/virtcontainers/kata_agent.go:920-944, src/runtime-rs/crates/resource/src/share_fs/share_virtio_fs_standalone.rs:241. */
export function virtioFsForm(reading: StorageReading): StorageParts {
  const { storage, at, context } = reading;
  checkUnused(reading);
  checkSource(reading, 'kataShared', 'virtiofs');
  if (reading.container !== undefined) throw refused(at, 'only the sandbox has the share of the host');
  if (storage.mountPoint.replace(/\/$/, '') !== sharedDirectory)
    throw wrongPlace(reading, `${sharedDirectory}/`);
  if (!trustsHostFiles(context))
    throw refused(at, 'the inner agent follows symbolic links in a share of the host', trustHostHelp);
  return {
    ...sourceAndType(storage),
    options: checkOptions(reading, (option) => /^(?:nodev|dax|dax=(?:inode|always|never))$/.test(option)),
  };
}

/** Source: Kata, container.go:531-553, virtio_fs_share_mount.rs:103-112; the watcher follows links (src/agent/src/watcher.rs). */
export function watchableBindForm(reading: StorageReading): StorageParts {
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
  return { ...sourceAndType(storage), options: checkOptions(reading, (option) => bindOptions.has(option)) };
}
