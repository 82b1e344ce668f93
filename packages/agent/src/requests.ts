/** How requests become the guest's values, for tests of what the guest says to them. */
export { guestAccess } from './guest-access.js';
export { ociProcess, ociSpec } from './services/oci-spec.js';
export { storage } from './services/storage.js';
