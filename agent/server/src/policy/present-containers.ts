import type { PresentContainer } from '@kata-agent/audit';
import type { Guest } from '@kata-agent/guest';

/** Containers whose creation records are always retained in the audit log. */
export function presentContainers(guest: Pick<Guest, 'containers'>): readonly PresentContainer[] {
  return Array.from(guest.containers.values(), ({ id, execs }) => ({
    containerId: id,
    execIds: execs.keys(),
  }));
}
