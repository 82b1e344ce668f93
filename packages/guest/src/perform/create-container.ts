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

/** What an attached device or a mount between containers asks for comes with issue C; to ignore it would be to lie. */
function refuseUnbuilt({ devices, sharedMounts }: CreateContainer): void {
  const [device] = devices ?? [];
  if (device !== undefined) {
    throw new GuestError(
      'unimplemented',
      `device ${JSON.stringify(device.type)}: attached devices are not built yet`,
    );
  }
  if (sharedMounts !== undefined && sharedMounts.length > 0) {
    throw new GuestError('unimplemented', 'shared_mounts are not built yet');
  }
}
