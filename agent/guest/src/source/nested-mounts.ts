import {
  At,
  Descriptor,
  MountAttribute,
  type MountAttributeChange,
  Open,
  type Syscalls,
} from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { OciMount } from '../request/oci-spec.js';
import { isBind } from '../spec/mounts.js';
import type { HostMedia } from '../media/host-media.js';
import type { AttachedMount, MountBelow } from './attach-below.js';
import { contains } from '../paths/clean-path.js';
import { quotedPath } from '../quoted.js';

/** Effects of the options of a bind mount. Options that only revert another one are not listed. */
const changes: ReadonlyMap<string, Partial<MountAttributeChange>> = new Map(
  Object.entries({
    ro: { set: MountAttribute.ReadOnly },
    nosuid: { set: MountAttribute.NoSuid },
    nodev: { set: MountAttribute.NoDev },
    noexec: { set: MountAttribute.NoExec },
    nosymfollow: { set: MountAttribute.NoSymFollow },
    nodiratime: { set: MountAttribute.NoDirectoryAccessTime },
    noatime: { set: MountAttribute.NoAccessTime, clear: MountAttribute.AccessTime },
    strictatime: { set: MountAttribute.StrictAccessTime, clear: MountAttribute.AccessTime },
    relatime: { clear: MountAttribute.AccessTime },
  }),
);

/** Options that revert an earlier one. */
const opposites: ReadonlyMap<string, string> = new Map(
  Object.entries({
    rw: 'ro',
    suid: 'nosuid',
    dev: 'nodev',
    exec: 'noexec',
    symfollow: 'nosymfollow',
    diratime: 'nodiratime',
    atime: 'noatime',
    nostrictatime: 'strictatime',
    norelatime: 'relatime',
  }),
);

const all: readonly string[] = [...changes.keys(), ...opposites.keys()];

interface Parts {
  readonly syscalls: Syscalls;
  readonly media: HostMedia;
  readonly privileged: 'refuse' | 'allow';
  /** The directory of the copied sources. */
  readonly staged: string;
  /** The copy of the guest's sysfs among them. */
  readonly sysfs: string | undefined;
}

/** A mount for the OCI runtime, or one that the agent attaches in the copy of `outer`. */
interface Placed {
  readonly mount: OciMount;
  readonly outer: OciMount | undefined;
}

/**
 * Mounts of a container whose destination is in another of its bind mounts. The OCI runtime would resolve their
 * destinations in a directory that other containers, or the host, can change meanwhile. So the agent attaches them, by
 * descriptor and without following links, in its own copy of the outer mount's source, and the runtime bind mounts that
 * copy recursively.
 */
export class NestedMounts {
  readonly #parts: Parts;
  readonly #attached: AttachedMount[] = [];

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Attaches nested mounts; returns the mounts that are left for the runtime.
   *
   * @param mounts with destinations from `resolveDestinations`; the sources of bind mounts are copies.
   */
  async attach(mounts: readonly OciMount[]): Promise<readonly OciMount[]> {
    const placed: Placed[] = [];
    for (const mount of mounts) placed.push({ mount, outer: this.#outerOf(mount, placed) });
    const outers = new Set(placed.map(({ outer }) => outer));
    const left = placed
      .filter(({ outer }) => outer === undefined)
      .map(({ mount }) => (outers.has(mount) ? this.#recursive(mount) : mount));
    for (const { mount, outer } of placed) {
      if (outer !== undefined) this.#attached.push(await this.#attach(mount, outer));
    }
    return left;
  }

  /** Keeps the mounts once the container is created: they end with the copy of the outer mount. */
  keep(): void {
    for (const each of this.#attached.splice(0)) this.#close(each);
  }

  /** Detaches the mounts, and removes the directories created for them. Attempts every one. */
  async rollBack(): Promise<void> {
    const failed: string[] = [];
    for (const each of this.#attached.splice(0).toReversed()) {
      try {
        await this.#parts.media.run('detachBelow', { made: each.made }, [each.tree, each.place]);
      } catch (error) {
        failed.push(String(error));
      } finally {
        this.#close(each);
      }
    }
    if (failed.length > 0) throw new Error(failed.join('; '));
  }

  /**
   * Returns the bind mount that contains a destination; undefined: the root, or a file system that the runtime mounts.
   */
  #outerOf(mount: OciMount, earlier: readonly Placed[]): OciMount | undefined {
    const last = earlier.findLast((each) => contains(each.mount.destination, mount.destination));
    const outer = last?.outer ?? last?.mount;
    if (outer === undefined || !isBind(outer) || outer.destination === mount.destination) return undefined;
    if (this.#isCopy(mount) && this.#isCopy(outer)) return outer;
    // Nobody can change the places of the kernel's own file systems in it.
    if (outer.source === this.#parts.sysfs) return undefined;
    // As with a directory of the guest at /dev, or mounts that the pod's containers share.
    if (this.#parts.privileged === 'allow') return undefined;
    throw new GuestError(
      'refused',
      `mount at ${quotedPath(mount.destination)}: a mount of type ${mount.type ?? ''} in the bind mount at ${quotedPath(outer.destination)} is refused; help: use a volume instead`,
    );
  }

  #close({ tree, place }: AttachedMount): void {
    for (const fd of [tree, place]) this.#parts.syscalls.close(fd);
  }

  #isCopy(mount: OciMount): boolean {
    return isBind(mount) && contains(this.#parts.staged, mount.source ?? '');
  }

  /** Recursive options of the outer mount do not apply to the mounts attached here. */
  #recursive(outer: OciMount): OciMount {
    const { syscalls } = this.#parts;
    const options = outer.options ?? [];
    const { set, clear } = bindAttributes(options).all;
    if (set !== 0 || clear !== 0) {
      const copy = new Descriptor(syscalls, syscalls.openat(At.Cwd, outer.source ?? '', Open.Path));
      try {
        syscalls.mountSetattr(copy.fd, { set, clear, propagation: 0 }, true);
      } finally {
        copy.close();
      }
    }
    const others = options.filter((option) => option !== 'bind' && option !== 'rbind');
    return { ...outer, options: ['rbind', ...others.map(withoutRecursion)] };
  }

  #attach(mount: OciMount, outer: OciMount): Promise<AttachedMount> {
    const { top, all } = bindAttributes(outer.options ?? []);
    const isReadOnly = ((top.set | all.set) & MountAttribute.ReadOnly) !== 0;
    const below: MountBelow = {
      named: `mount at ${quotedPath(mount.destination)}`,
      outer: { path: outer.source ?? '', named: `mount at ${quotedPath(outer.destination)}`, isReadOnly },
      below: mount.destination.slice(outer.destination.length + 1),
      source: mount.source ?? '',
      attributes: bindAttributes(mount.options ?? []),
    };
    return this.#parts.media.run('attachBelow', below);
  }
}

/** Returns the plain form of a recursive option: `ro` for `rro`. Others are returned unchanged. */
export function withoutRecursion(option: string): string {
  return option.startsWith('r') && all.includes(option.slice(1)) ? option.slice(1) : option;
}

/** Returns the attribute changes of a bind mount's options, for the topmost mount and for all of its source. */
export function bindAttributes(options: readonly string[]): {
  readonly top: MountAttributeChange;
  readonly all: MountAttributeChange;
} {
  const isForAll = (option: string): boolean => withoutRecursion(option) !== option;
  return {
    top: mountAttributes(options.filter((option) => !isForAll(option))),
    all: mountAttributes(options.filter(isForAll).map(withoutRecursion)),
  };
}

/** Options such as `rw` only revert an earlier option: they never clear an attribute that the mount has. */
function mountAttributes(options: readonly string[]): MountAttributeChange {
  const names: string[] = [];
  for (const option of options) {
    const opposite = opposites.get(option);
    if (changes.has(option)) names.push(option);
    else if (opposite !== undefined && names.includes(opposite)) names.splice(names.indexOf(opposite), 1);
  }
  // The last option of the access time wins.
  const times = names.filter((name) => changes.get(name)?.clear !== undefined);
  const last = times.at(-1);
  const set = names
    .filter((name) => !times.includes(name) || name === last)
    .reduce((bits, name) => bits | (changes.get(name)?.set ?? 0), 0);
  return { set, clear: last === undefined ? 0 : MountAttribute.AccessTime };
}
