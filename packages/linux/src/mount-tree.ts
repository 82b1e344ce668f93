import { Tree, Unmount } from './constants.js';
import { Descriptor } from './descriptor.js';
import { MountFlag } from './mount-options.js';
import type { MountAttributes, Syscalls } from './syscalls.js';

/** `MountAttribute` bits that are set, and those that are cleared before. */
export type MountAttributeChange = Pick<MountAttributes, 'set' | 'clear'>;

/**
 * A copy of the mount at an open place, as a bind mount would make it, that is attached nowhere yet. The copy, and with
 * `recursive` each mount below it, is private: no mount or unmount of the original's peer group reaches it, and none of its
 * own leaves it. Linux 5.12 (mount_setattr(2)).
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

  /** @param place a descriptor of a directory or file, which may be one of `O_PATH`. */
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

  /** Changes `MountAttribute` bits of its topmost mount alone, or of all. */
  change({ set, clear }: MountAttributeChange, { recursive }: { readonly recursive: boolean }): void {
    if (set !== 0 || clear !== 0)
      this.#syscalls.mountSetattr(this.#tree.fd, { set, clear, propagation: 0 }, recursive);
  }

  /** One of `MountFlag.Private`, `Slave` and `Shared`: a shared copy begins a peer group of its own. */
  setPropagation(propagation: number): void {
    this.#syscalls.mountSetattr(this.#tree.fd, { set: 0, clear: 0, propagation }, this.#recursive);
  }

  /**
   * Attaches it at an open place, a directory or file as the copy is one. Once. The place must lie in a private mount: in a
   * shared one the kernel makes the copy shared as well, and attaches it at each peer.
   */
  attach(place: number): void {
    this.#syscalls.moveMount(this.#tree.fd, place);
  }

  /** Takes what was attached out of the tree again, wherever it is by now; with all that is mounted in it. */
  detach(): void {
    this.#syscalls.umount2(`/proc/self/fd/${this.#tree.fd}`, Unmount.Detach);
  }

  /** A copy that was never attached is gone with it. */
  close(): void {
    this.#tree.close();
  }
}
