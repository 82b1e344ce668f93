/** How much of a source is copied. */
export interface MirrorLimits {
  readonly entries: number;
  readonly bytes: number;
}

/** Limits of Kata's agent (src/agent/src/watcher.rs, 4.1): a source above them is bind mounted and not copied. */
export const kataLimits: MirrorLimits = { entries: 16, bytes: 1024 * 1024 };

/**
 * Limits of a source that grows while it is followed. Kata's agent mounts a source over the copies once it is above
 * `kataLimits`, which a container with private mounts does not see: its copies would never change again.
 */
export const grownLimits: MirrorLimits = { entries: 256, bytes: 8 * 1024 * 1024 };
