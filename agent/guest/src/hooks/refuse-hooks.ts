import { GuestError } from '../error/guest-error.js';
import type { OciHooks } from '../request/oci-spec.js';

/**
 * Refuses the hooks of a request. The host chooses their programs, and hooks run in the guest, some of them outside the
 * container (S10).
 *
 * @throws GuestError `refused`
 */
export function refuseHooks(hooks: OciHooks | undefined): void {
  for (const [kind, list] of Object.entries(hooks ?? {})) {
    if (list !== undefined && list.length > 0) {
      throw new GuestError('refused', `OCI hooks (${kind}) are refused; help: set hooks = "allow"`);
    }
  }
}
