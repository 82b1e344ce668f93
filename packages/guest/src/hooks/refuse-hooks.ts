import { GuestError } from '../guest-error.js';
import type { OciHooks } from '../oci-spec.js';

/**
 * Refuses the hooks of a request: six lists, any of which would run a program of the host's choice in the guest, outside of the
 * container (S10).
 *
 * @throws GuestError `refused`
 */
export function refuseHooks(hooks: OciHooks | undefined): void {
  for (const [kind, list] of Object.entries(hooks ?? {})) {
    if (list !== undefined && list.length > 0) {
      throw new GuestError(
        'refused',
        `OCI hooks (${kind}) are refused; the setting hooks = "allow" permits them`,
      );
    }
  }
}
