import type { GuestDetails, GuestDetailsQuery } from '../actions.js';
import { guestDetails } from '../details.js';
import type { Guest } from '../guest.js';
import { translated } from '../translate-error.js';

/** Facts of the guest; unchanging, but for memory hotplug. */
export function getGuestDetails({ context }: Guest, query: GuestDetailsQuery): Promise<GuestDetails> {
  return translated(async () => {
    const { seccomp } = await context.capabilities();
    return guestDetails(query, context.paths.sys, seccomp);
  });
}
