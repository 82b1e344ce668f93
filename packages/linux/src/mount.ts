import { Unmount } from './constants.js';
import { MountFlag, parseMountOptions } from './mount-options.js';
import type { Syscalls } from './syscalls.js';

export interface MountRequest {
  readonly source: string;
  readonly target: string;
  /** `tmpfs`, `overlay`, …; empty or `bind` for a bind mount, `none` where it does not matter. */
  readonly type: string;
  /** Words, as in an OCI spec. */
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
 * The mount(2) calls that a request needs, in order. The kernel takes no flag but MS_REC with a bind, so the others
 * follow in a remount; and each change of propagation is a call of its own.
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

/** Mounts, whole or not at all: when a later step is refused, what the first one made is unmounted again. */
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
