import { close } from 'node:fs';
import { promisify } from 'node:util';
import { Descriptor } from '../fs/descriptor.js';
import { At, Open, Unmount } from '../syscalls/constants.js';
import { MountFlag, parseMountOptions } from './mount-options.js';
import type { Syscalls } from '../syscalls/syscalls.js';

const closeByThread = promisify(close);

export interface MountRequest {
  readonly source: string;
  readonly target: string;
  /** `tmpfs`, `overlay`, …; empty or `bind` for a bind mount, `none` where it is ignored. */
  readonly type: string;
  /** Mount options as in an OCI spec. */
  readonly options: readonly string[];
}

/** The arguments of one mount(2). */
export interface MountCall {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  readonly flags: number;
  readonly data: string;
}

/**
 * Returns the mount(2) calls that a request needs, in order. The kernel ignores other flags than MS_REC for a bind
 * mount, so they are set in a remount; each propagation change is a separate call.
 */
export function mountCalls(request: MountRequest): readonly MountCall[] {
  const { source, target } = request;
  const options = parseMountOptions(request.type === 'bind' ? ['bind', ...request.options] : request.options);
  const type = request.type === 'bind' ? '' : request.type;
  const data = options.data.join(',');
  const bind = (options.flags & MountFlag.Bind) !== 0 && (options.flags & MountFlag.Remount) === 0;
  const calls: MountCall[] = [{ source, target, type, flags: options.flags, data }];
  if (bind) {
    const own = MountFlag.Bind | MountFlag.Recursive;
    calls[0] = { source, target, type: '', flags: options.flags & own, data: '' };
    const others = options.flags & ~own;
    if (others !== 0) {
      const flags = others | MountFlag.Bind | MountFlag.Remount;
      calls.push({ source: '', target, type: '', flags, data: '' });
    }
  }
  for (const flags of options.propagation) calls.push({ source: '', target, type: '', flags, data: '' });
  return calls;
}

/** Mounts completely or not at all: when a later step fails, the mount is undone. */
export function mount(syscalls: Syscalls, request: MountRequest): void {
  const [first, ...rest] = mountCalls(request);
  if (first === undefined) return;
  perform(syscalls, first);
  try {
    for (const call of rest) perform(syscalls, call);
  } catch (error) {
    if ((first.flags & MountFlag.Remount) === 0)
      syscalls.umount2(request.target, Unmount.Detach | Unmount.NoFollow);
    throw error;
  }
}

function perform(syscalls: Syscalls, call: MountCall): void {
  syscalls.mount(call.source, call.target, call.type, call.flags, call.data);
}

/**
 * Does the same as `detachMount` in the calling thread, which the release of a share or a disk may block: for threads that may wait
 * for the host.
 */
export function detachMountHere(syscalls: Syscalls, target: string): void {
  const held = new Descriptor(syscalls, syscalls.openat(At.Cwd, target, Open.Path | Open.NoFollow));
  try {
    syscalls.umount2(target, Unmount.Detach | Unmount.NoFollow);
  } finally {
    held.close();
  }
}

/**
 * Detaches the topmost mount at a path with its submounts, and waits until it is released, unless it is still in use
 * elsewhere. Releasing frees a tmpfs's memory and flushes a disk, which may take seconds. It happens in a thread that
 * drops the last reference, so the event loop is not blocked. EINVAL: the path is not a mount point.
 */
export async function detachMount(syscalls: Syscalls, target: string): Promise<void> {
  const held = new Descriptor(syscalls, syscalls.openat(At.Cwd, target, Open.Path | Open.NoFollow));
  try {
    syscalls.umount2(target, Unmount.Detach | Unmount.NoFollow);
  } catch (error) {
    held.close();
    throw error;
  }
  await closeByThread(held.take());
}
