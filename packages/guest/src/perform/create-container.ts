import type { CreateContainer } from '../actions.js';
import { createContainer as make } from '../container/create-container.js';
import { checkContainerId } from '../container/identifiers.js';
import { containerNamed } from '../container/share-mounts.js';
import type { Guest } from '../guest.js';
import { GuestError } from '../guest-error.js';
import { passStdio } from '../passfd/pass-stdio.js';

export function createContainer(guest: Guest, action: CreateContainer): Promise<void> {
  return guest.change(async () => {
    const { id, stdio, spec } = action;
    const { containers, sandbox, context } = guest;
    checkContainerId(id);
    if (containers.has(id)) throw new GuestError('exists', `container ${id} exists`);
    const limit = context.limits.containers;
    if (containers.size >= limit) {
      throw new GuestError('exhausted', `there are ${limit} containers (limits.containers)`);
    }
    context.runtime.installed();
    const find = (name: string) => containerNamed(containers.values(), name);
    const container = await make(action, { ...sandbox.share(action.sandboxPidns), find }, context);
    containers.set(id, container);
    sandbox.joined(container);
    const { streams } = container.first;
    if (stdio !== undefined) streams.passing = passStdio(streams, stdio, spec.process?.terminal ?? false);
  });
}
