import type { mountOwnRoot } from './own-root.js';

/** Calls `mountOwnRoot`, whose code is loaded with the first root that the guest gets itself. */
export const loadAndMountOwnRoot: typeof mountOwnRoot = async (...requested) => {
  const ownRoot = await import('./own-root.js');
  return ownRoot.mountOwnRoot(...requested);
};
