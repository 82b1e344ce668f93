import { type AnyTask, Descriptor, type Syscalls } from '@kata-agent/linux';
import type { HostMedia } from '../media/host-media.js';
import { mediaTasks } from './tasks.js';

/** Runs tasks in the calling thread, for tests with system calls of their own. */
export function directMedia(syscalls: Syscalls): HostMedia {
  return {
    hanging: 0,
    prepare: () => Promise.resolve(),
    run: async (name, args, lent = [], bytes = new Uint8Array(0)) => {
      const task: AnyTask = mediaTasks[name];
      const descriptors = lent.map((fd) => new Descriptor(syscalls, syscalls.duplicate(fd)));
      try {
        const tools = {
          syscalls,
          lent: descriptors,
          bytes,
          progress: () => undefined,
          commit: () => undefined,
          finish: () => undefined,
        };
        return (await task.run(args as never, tools)) as never;
      } finally {
        for (const each of descriptors) each.close();
      }
    },
  };
}
