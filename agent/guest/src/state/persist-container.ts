import { savedContainer } from './saved-container.js';
import type { Container } from '../container/container.js';
import type { GuestLog } from '../guest-log.js';
import type { SavedState } from './saved-state.js';

/**
 * Saves the state that a restarted agent needs to resume a container, at once and on each change. Throws if the first
 * save fails: a container that a restart would lose is not created. Later failures are logged as errors.
 */
export function persistContainer(
  container: Container,
  { records, log }: { readonly records: SavedState; readonly log: GuestLog },
): void {
  const save = (): void => records.saveContainer(savedContainer(container));
  save();
  container.changed = () => {
    try {
      save();
    } catch (error) {
      log('error', `the state file of container ${container.id} cannot be written: ${String(error)}`, {
        container: container.id,
      });
    }
  };
}
