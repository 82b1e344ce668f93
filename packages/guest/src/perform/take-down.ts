import type { Container } from '../container/container.js';
import { removeContainer } from '../container/remove-container.js';
import type { Guest } from '../guest.js';

/** Removes a container, and forgets it once nothing of it is left. Part of a change. */
export async function takeDown(guest: Guest, container: Container, timeoutSeconds: number): Promise<void> {
  try {
    await removeContainer(container, timeoutSeconds, guest.context, () => guest.sandbox.left(container));
  } finally {
    if (container.made.empty) guest.containers.delete(container.id);
  }
}
