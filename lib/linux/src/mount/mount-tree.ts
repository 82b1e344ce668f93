import { Tree, Unmount } from '../syscalls/constants.js';
import { Descriptor } from '../fs/descriptor.js';
import { MountFlag } from './mount-options.js';
import type { MountAttributes } from '../syscalls/mount-calls.js';
import type { Syscalls } from '../syscalls/syscalls.js';

/** `MountAttribute` bits to set, and bits to clear first. */
export type MountAttributeChange = Pick<MountAttributes, 'set' | 'clear'>;

/**
 * A detached copy of the mount at an open path, like a bind mount. The copy, and with `recursive` each submount, is
 * private: it neither receives nor sends propagation events. Linux 5.12 (mount_setattr(2)).
 */
export class MountTree {
  readonly #syscalls: Syscalls;
  readonly #tree: Descriptor;
  readonly #recursive: boolean;

  private constructor(syscalls: Syscalls, tree: Descriptor, recursive: boolean) {
    this.#syscalls = syscalls;
    this.#tree = tree;
    this.#recursive = recursive;
  }

  /** @param place a descriptor of a directory or file, possibly opened with `O_PATH`. */
  static copy(syscalls: Syscalls, place: number, { recursive }: { readonly recursive: boolean }): MountTree {
    const flags = Tree.Clone | Tree.EmptyPath | (recursive ? Tree.Recursive : 0);
    const tree = new MountTree(
      syscalls,
      new Descriptor(syscalls, syscalls.openTree(place, '', flags)),
      recursive,
    );
    try {
      tree.setPropagation(MountFlag.Private);
      return tree;
    } catch (error) {
      tree.close();
      throw error;
    }
  }

  /** Sets `MountAttribute` bits of all its mounts, such as read-only. */
  restrict(attributes: number): void {
    if (attributes === 0) return;
    this.#syscalls.mountSetattr(
      this.#tree.fd,
      { set: attributes, clear: 0, propagation: 0 },
      this.#recursive,
    );
  }

  /** Changes `MountAttribute` bits of its topmost mount, or of all its mounts. */
  change({ set, clear }: MountAttributeChange, { recursive }: { readonly recursive: boolean }): void {
    if (set !== 0 || clear !== 0)
      this.#syscalls.mountSetattr(this.#tree.fd, { set, clear, propagation: 0 }, recursive);
  }

  /** Sets one of `MountFlag.Private`, `Slave` and `Shared`: a shared copy starts its own peer group. */
  setPropagation(propagation: number): void {
    this.#syscalls.mountSetattr(this.#tree.fd, { set: 0, clear: 0, propagation }, this.#recursive);
  }

  /**
   * Attaches the copy once, at an open directory or file, whichever the copy is. The target must be in a private mount:
   * in a shared one the kernel makes the copy shared too, and propagates it to each peer.
   */
  attach(place: number): void {
    this.#syscalls.moveMount(this.#tree.fd, place);
  }

  /** Detaches the attached copy again with its submounts, wherever it was moved. */
  detach(): void {
    this.#syscalls.umount2(`/proc/self/fd/${this.#tree.fd}`, Unmount.Detach);
  }

  /** Passes its descriptor to a new owner. */
  take(): number {
    return this.#tree.take();
  }

  /** Closes the copy. A copy that was never attached is released. */
  close(): void {
    this.#tree.close();
  }
}
