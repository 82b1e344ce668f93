import { CannotApply } from '../cannot-apply.js';

/**
 * Returns the error of a configuration that chooses the built-in puller, for an agent that does not have it. A file of its own: an agent
 * that is bundled without the puller has this one alone (guest-image/bundle/src/omit-methods.ts).
 */
export function cannotPull(why: string, options?: ErrorOptions): CannotApply {
  return new CannotApply(`[image] puller is "built-in", and this agent cannot pull images: ${why}`, {
    ...options,
    help: 'use an agent of npm run bundle, or an image with --with image-pull',
  });
}
