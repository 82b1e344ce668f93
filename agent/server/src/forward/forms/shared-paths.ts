import { kataDirectory, sharedDirectory } from '@kata-agent/catalogue';
import type { FormContext } from './forwarded-sandbox.js';
import { isName } from './values.js';

/** The directory of runtime-rs in the shared one. */
const passthrough = 'passthrough';

/** Directories of the runtimes in the shared one, which are not volumes. */
const reserved: ReadonlySet<string> = new Set([passthrough, 'watchable', 'rafs', 'sandbox-mounts', 'local']);

/** Returns the places where Kata's runtimes have the root of a container, by its path. */
export function rootPaths(id: string): ReadonlyMap<string, 'bundle' | 'shared'> {
  return new Map([
    [`${kataDirectory}/${id}/rootfs`, 'bundle'],
    [`${sharedDirectory}/${id}`, 'shared'],
    [`${sharedDirectory}/${id}/rootfs`, 'shared'],
    [`${sharedDirectory}/${passthrough}/${id}/rootfs`, 'shared'],
  ]);
}

/**
 * Reports whether the configuration trusts the host with the guest's files: by `privileged_containers = "allow"`, or by naming
 * the shared directory, writable, in `guest_paths`. Kata's agent follows symbolic links in whatever the host shares or attaches
 * (`fs::canonicalize` in rustjail/src/mount.rs:773, mount(2) by path in src/agent/src/rpc.rs:2535), so that each path below
 * such a file system can be any path of the guest; and the host can replace a file by a link at any time.
 */
export function trustsHostFiles({ access, isRefusing }: Pick<FormContext, 'access' | 'isRefusing'>): boolean {
  return !isRefusing || access.guestPaths.includes(`rw:${sharedDirectory}`);
}

/** The remedy for what `trustsHostFiles` allows. */
export const trustHostHelp: string = `add "rw:${sharedDirectory}" to [agent] guest_paths to trust the host with the guest's files, which its links can name; or use a guest with guest pull and without a shared file system`;

/** Returns the name of a volume directly in the shared directory, or in `passthrough`; undefined: the path is not of that form. */
export function volumeNameOf(path: string): string | undefined {
  const [name, ...rest] = belowShared(path) ?? [];
  return name === undefined || rest.length > 0 || reserved.has(name) ? undefined : name;
}

/** Returns the components of a path below the shared directory, or below `passthrough` in it; undefined: it is elsewhere. */
export function belowShared(path: string): readonly string[] | undefined {
  if (!path.startsWith(`${sharedDirectory}/`)) return undefined;
  const names = path.slice(sharedDirectory.length + 1).split('/');
  return names[0] === passthrough ? names.slice(1) : names;
}

/** Returns the name of what the agent itself mounts below `/run/kata-containers/DIRECTORY/`; undefined: it is elsewhere. */
export function nameIn(directory: string, path: string): string | undefined {
  const start = `${kataDirectory}/${directory}/`;
  const name = path.startsWith(start) ? path.slice(start.length) : '';
  return isName(name) ? name : undefined;
}
