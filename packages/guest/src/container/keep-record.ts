import { containerRecord } from '../state/container-record.js';
import type { Container } from './container.js';
import type { GuestContext } from './guest-context.js';

/**
 * Writes down what the next agent needs to go on with a container, now and whenever it changes. Throws when it cannot be
 * written now: a container of which nothing is known after a restart is not made. Later that is an error in the log.
 */
export function keepRecord(
  container: Container,
  { records, log }: Pick<GuestContext, 'records' | 'log'>,
): void {
  const save = (): void => records.saveContainer(containerRecord(container));
  save();
  container.changed = () => {
    try {
      save();
    } catch (error) {
      log('error', `the record of container ${container.id} cannot be written: ${String(error)}`, {
        container: container.id,
      });
    }
  };
}
