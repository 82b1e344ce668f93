import { alwaysMasked, alwaysReadOnly } from '@kata-agent/gate';

/** What containers see nothing of in /proc and /sys, in every version of containerd. */
export const maskedPaths: readonly string[] = alwaysMasked;

/** What they may at most read; versions differ in whether the first is masked. */
export const readOnlyPaths: readonly string[] = alwaysReadOnly;
