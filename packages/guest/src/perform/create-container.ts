import type { CreateContainer } from '../actions.js';
import { createContainer as make } from '../container/create-container.js';
import { checkContainerId } from '../container/identifiers.js';
import type { Guest } from '../guest.js';
import { GuestError } from '../guest-error.js';

export function createContainer(guest: Guest, action: CreateContainer): Promise<void> {
  return guest.change(async () => {
    const { id } = action;
    const { containers, sandbox, context } = guest;
    checkContainerId(id);
    if (containers.has(id)) throw new GuestError('exists', `container ${id} exists`);
    const limit = context.limits.containers;
    if (containers.size >= limit) {
      throw new GuestError('exhausted', `there are ${limit} containers (limits.containers)`);
    }
    refuseUnbuilt(action);
    context.runtime.installed();
    const container = await make(action, sandbox.share(action.sandboxPidns), context);
    containers.set(id, container);
    sandbox.joined(container);
  });
}

/** To ignore what a mount between containers asks for would be to lie. */
function refuseUnbuilt({ sharedMounts }: CreateContainer): void {
  if (sharedMounts !== undefined && sharedMounts.length > 0) {
    throw new GuestError('unimplemented', 'shared_mounts are not built yet');
  }
}
