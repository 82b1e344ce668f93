export type * from './actions.js';
export type * from './container-stats.js';
export { Guest } from './guest.js';
export { GuestError, type GuestErrorKind } from './guest-error.js';
export type {
  GuestLimits,
  GuestLog,
  GuestOptions,
  GuestPaths,
  LogLevel,
  OutputPolicy,
} from './guest-options.js';
export type * from './oci-spec.js';
