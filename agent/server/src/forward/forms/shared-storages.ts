// Storages whose files are the host's: its share, and volumes in it that the guest watches.
import { sharedDirectory } from '@kata-agent/catalogue';
import { quoted, refused } from './not-alike.js';
import { belowShared, trustHostHelp, trustsHostFiles, volumeNameOf } from './shared-paths.js';
import { checkCleanPath, isName } from './values.js';
import {
  type StorageReading,
  type StorageParts,
  checkUnused,
  checkSource,
  wrongPlace,
  checkOptions,
  sourceAndType,
} from './storage-reading.js';

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

/** Options of the mount that the volume is for: the watcher ignores them. */
const bindOptions: ReadonlySet<string> = new Set(
  'bind rbind ro rw nosuid nodev noexec private rprivate slave rslave relatime noatime'.split(' '),
);
