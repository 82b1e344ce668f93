import type { PresentContainer } from '@kata-agent/audit';
import type { Guest } from '@kata-agent/guest';

/** What the audit log never forgets the making of. */
export function presentContainers(guest: Pick<Guest, 'containers'>): readonly PresentContainer[] {
  return Array.from(guest.containers.values(), ({ id, execs }) => ({
    containerId: id,
    execIds: execs.keys(),
  }));
}
