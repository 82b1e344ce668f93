/** Conversions of requests into the guest's values, exported for tests of the guest's checks. */
export { guestAccess } from './startup/guest-access.js';
export { ociProcess, ociSpec } from './wire/oci-spec.js';
export { storage } from './wire/storage.js';
/** What forward mode sends on, exported for tests that compare it with the guest's checks. */
export type { FormContext } from './forward/forms/forwarded-sandbox.js';
export { ForwardedSandbox } from './forward/forms/forwarded-sandbox.js';
export { NotAlike } from './forward/forms/values.js';
export { type MethodForm, methodForms, readRequest, type Forwarding } from './forward/forms/request-forms.js';
