import type { HostMedia, MediaTasks } from '../media/host-media.js';

/** Answers tasks with what a function returns or throws. */
export function fakeMedia(answer: (name: keyof MediaTasks, args: unknown) => unknown): HostMedia {
  return {
    hanging: 0,
    prepare: () => Promise.resolve(),
    run: async (name, args) => answer(name, args) as never,
  };
}
