import type { RemoveContainer } from '../actions.js';
import type { Guest } from '../guest.js';
import { takeDown } from './take-down.js';

/** One that runs is killed first. */
export function removeContainer(guest: Guest, { id, timeoutSeconds }: RemoveContainer): Promise<void> {
  return guest.change(() => takeDown(guest, guest.container(id), timeoutSeconds));
}
