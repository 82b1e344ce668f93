import { kataDirectory, sharedDirectory } from '@kata-agent/catalogue';
import { create } from '@bufbuild/protobuf';
import { type Mount, MountSchema } from '@kata-agent/protocol/oci';
import type { FormContext, SharedUse } from './forwarded-sandbox.js';
import { checkCleanPath, hasControl, isName, malformed, quoted, refused } from './values.js';
import { belowShared, nameIn, volumeNameOf } from './shared-paths.js';

/** The request whose mounts are read. */
export interface MountOwner {
  readonly container: string;
  /** Mount points of the storages of this request. */
  readonly mountPoints: ReadonlySet<string>;
}

/**
 * Options that Kata's agent takes as flags (rustjail/src/mount.rs:77-113); any other word is data, which the kernel ignores for a
 * bind mount: `rro` would leave it writable. Not here: `remount`, which changes a mount that is there, and `acl`.
 */
const flags: ReadonlySet<string> = new Set(
  `async atime defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev nodiratime noexec noiversion
  nolazytime nomand norelatime nostrictatime nosuid relatime ro rw silent strictatime suid sync`.split(/\s+/),
);

/** The same table for propagation (rustjail/src/mount.rs:65-76). */
const propagation: ReadonlySet<string> = new Set(['private', 'rprivate', 'slave', 'rslave']);
const loudPropagation: ReadonlySet<string> = new Set(['shared', 'rshared', 'unbindable', 'runbindable']);

/** A file system that container engines mount. */
interface KernelFileSystem {
  /** The only mount point; undefined: any. */
  readonly place?: string;
  /** Data for the kernel. */
  readonly data: RegExp;
}

/** No option is data. */
const none = /(?!)/;

/** None of them reads its source, but Kata's agent panics if it is empty (rustjail/src/mount.rs:771). */
const kernelFileSystems: ReadonlyMap<string, KernelFileSystem> = new Map<string, KernelFileSystem>([
  ['proc', { place: '/proc', data: none }],
  ['sysfs', { place: '/sys', data: none }],
  // The engine copies options of the host, which Kata's agent drops (`_data` of mount_cgroups).
  ['cgroup', { place: '/sys/fs/cgroup', data: /^(?:nsdelegate|favordynmods|memory_[a-z_]{1,40})$/ }],
  ['tmpfs', { data: /^(?:(?:mode|uid|gid|nr_inodes|nr_blocks)=\d{1,18}|size=\d{1,18}[kmgKMG%]?)$/ }],
  ['devpts', { data: /^(?:newinstance|(?:ptmxmode|mode|gid|uid|max)=\d{1,10})$/ }],
  ['mqueue', { data: none }],
]);

/** What a mount is of, and the volume in the shared directory that it uses. */
export interface MountForm {
  readonly message: Mount;
  readonly volume?: string;
}

/** @throws NotAlike */
export function readMounts(
  mounts: readonly Mount[],
  owner: MountOwner,
  context: FormContext,
): readonly MountForm[] {
  // A second one would cover the first, which the privilege check has seen.
  for (const [type, { place }] of kernelFileSystems)
    if (context.isRefusing && place !== undefined && mounts.filter((mount) => mount.type === type).length > 1)
      throw refused('OCI.Mounts', `there are several mounts of type ${type}`, 'request one');
  return mounts.map((mount, index) => {
    const at = `OCI.Mounts[${index}]`;
    const { destination, source, type, options } = mount;
    checkCleanPath(`${at}.destination`, destination);
    // Also Kata's agent refuses two dots anywhere (rustjail/src/mount.rs:231).
    if (destination === '/' || destination.includes('..'))
      throw refused(`${at}.destination`, `${quoted(destination)} is the root of the container, or has ..`);
    const isBind = type === 'bind' || type === 'local';
    const isKernels = kernelFileSystems.get(type)?.place !== undefined;
    if (context.isRefusing && !isKernels && /^\/(?:proc|sys)(?:\/|$)/.test(destination))
      throw refused(`${at}.destination`, `${quoted(destination)} is in a file system of the kernel`);
    if (context.isRefusing && destination === '/dev' && type !== 'tmpfs')
      throw refused(`${at}.destination`, `only a tmpfs is mounted at /dev, not ${quoted(type)}`);
    const volume = isBind ? readBind(mount, at, owner, context) : readKernel(mount, at, context);
    const message = create(MountSchema, { destination, source, type, options: [...options] });
    return volume === undefined ? { message } : { message, volume };
  });
}

function readKernel(
  { type, source, destination, options }: Mount,
  at: string,
  context: FormContext,
): undefined {
  const known = kernelFileSystems.get(type);
  if (known === undefined)
    throw refused(
      `${at}.type`,
      `${quoted(type)} is not one of ${['bind', 'local', ...kernelFileSystems.keys()].join(', ')}`,
    );
  if (!/^[a-z0-9_-]{1,32}$/.test(source))
    throw malformed(`${at}.source`, `${quoted(source)} of a ${type} is not a word`);
  if (known.place !== undefined && destination !== known.place && context.isRefusing)
    throw refused(
      `${at}.destination`,
      `a mount of type ${type} is at ${known.place}, not at ${quoted(destination)}`,
    );
  const strange = options.find(
    (option) => !flags.has(option) && !isPropagation(option, context) && !known.data.test(option),
  );
  if (strange !== undefined) throw unknownOption(at, strange, type);
  return undefined;
}

function isPropagation(option: string, { isRefusing }: FormContext): boolean {
  return propagation.has(option) || (!isRefusing && loudPropagation.has(option));
}

function unknownOption(at: string, option: string, type: string): Error {
  const help = option === 'rro' ? 'use ro: the inner agent has no recursive read-only mounts' : undefined;
  return refused(
    `${at}.options`,
    `${quoted(option)} is not an option of a mount of type ${type} that both agents read alike`,
    help,
  );
}

/** Returns the volume in the shared directory that is mounted; undefined: the source is elsewhere. */
function readBind(mount: Mount, at: string, owner: MountOwner, context: FormContext): string | undefined {
  const { type, source, options } = mount;
  const strange = options.find(
    (option) =>
      option !== 'bind' && option !== 'rbind' && !flags.has(option) && !isPropagation(option, context),
  );
  if (strange !== undefined) throw unknownOption(at, strange, type);
  if (!options.includes('bind') && !options.includes('rbind'))
    throw malformed(`${at}.options`, `a mount of type ${type} has the option bind or rbind`);
  checkCleanPath(`${at}.source`, source);
  const isMounted = owner.mountPoints.has(source) || context.sandbox.hasMountPoint(source);
  if (type === 'local') {
    // The runtimes send the storage with each mount of it, and this agent with the guest asks for it.
    if (owner.mountPoints.has(source) && isLocalVolume(source)) return undefined;
    throw refused(
      `${at}.source`,
      `${quoted(source)} is not the mount point of a local storage of this request`,
      'request the storage of the volume',
    );
  }
  if (source === `${kataDirectory}/sandbox/shm`) return undefined;
  if (nameIn('sandbox/ephemeral', source) !== undefined || nameIn('sandbox/storage', source) !== undefined) {
    if (isMounted) return undefined;
    throw refused(
      `${at}.source`,
      `${quoted(source)} is not the mount point of a storage`,
      'request the storage of the volume',
    );
  }
  const volume = volumeNameOf(source);
  if (volume !== undefined && isName(volume) && volume !== owner.container) return volume;
  // A volume that the guest keeps in step, or a local one.
  if (isMounted && (belowShared(source)?.[0] === 'watchable' || isLocalVolume(source))) return undefined;
  if (opensGuestPath(mount, context)) return undefined;
  throw refused(
    `${at}.source`,
    `${quoted(source)} is not a path that Kata's runtimes use for sources: a name directly in ${sharedDirectory}, or the mount point of a storage; the inner agent follows links, and names below could lead anywhere`,
    `add it to [agent] guest_paths if it is the guest's`,
  );
}

function isLocalVolume(path: string): boolean {
  const names = belowShared(path) ?? [];
  return names.length === 4 && names[1] === 'rootfs' && names[2] === 'local';
}

/** Paths of the guest that the configuration opens. Rules and the privilege check have seen them (S10). */
function opensGuestPath({ source }: Mount, { access, isRefusing }: FormContext): boolean {
  if (source === kataDirectory || source.startsWith(`${kataDirectory}/`) || hasControl(source)) return false;
  if (!isRefusing) return true;
  const paths = access.guestPaths.map((path) => path.replace(/^rw:/, ''));
  return (
    access.devices.includes(source) ||
    paths.some((path) => path === '/' || source === path || source.startsWith(`${path}/`))
  );
}

/** Returns the uses of names in the shared directory by mounts. */
export function usesOf(mounts: readonly MountForm[]): ReadonlyMap<string, SharedUse> {
  return new Map(mounts.flatMap(({ volume }) => (volume === undefined ? [] : [[volume, 'volume'] as const])));
}
