/** Conversions of requests into the guest's values, exported for tests of the guest's checks. */
export { guestAccess } from './startup/guest-access.js';
export { ociProcess, ociSpec } from './wire/oci-spec.js';
export { storage } from './wire/storage.js';
