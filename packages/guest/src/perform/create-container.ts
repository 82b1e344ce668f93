import type { CreateContainer } from '../actions.js';
import { createContainer as make } from '../container/create-container.js';
import { checkContainerId } from '../container/identifiers.js';
import { containerNamed, sourceMounts } from '../container/share-mounts.js';
import { attachments } from '../device/attach-devices.js';
import type { Guest } from '../guest.js';
import { GuestError } from '../guest-error.js';
import { refuseHooks } from '../hooks/refuse-hooks.js';
import { checkSysctls } from '../spec/sysctls.js';
import type { PlaceOwner } from '../source/other-containers.js';
import { cleanStorages } from '../storage/clean-storages.js';
import { passStdio } from '../passfd/pass-stdio.js';

/**
 * More mounts, or storages, has no container: each is a line of the mount table, which is read as a whole, and a step of the
 * OCI runtime's (S17).
 */
const maxMounts = 256;

export async function createContainer(guest: Guest, requested: CreateContainer): Promise<void> {
  const action = { ...requested, storages: cleanStorages(requested.storages) };
  const { id, stdio, spec } = action;
  const { containers, sandbox, context, making, signal } = guest;
  const find = (name: string) => containerNamed(containers.values(), name);
  return guest.changeWith({
    scope: { container: id },
    admit: () => {
      admit(guest, id);
      checkCount('mounts', spec.mounts ?? []);
      checkCount('storages', action.storages);
      if (context.hooks === 'refuse') refuseHooks(spec.hooks);
      checkSysctls(spec.linux?.sysctl, context.access);
    },
    needs: () => [
      ...attachments(action.devices ?? []).map(({ disk }) => disk),
      ...context.storages.needs(action.storages),
      ...sourceMounts(action.sharedMounts ?? [], find, context.paths),
    ],
    task: () =>
      making.during(action, async (opened) => {
        const others = () => otherOwners(guest, id);
        const removed = () => removedOwners(guest, id);
        const container = await sandbox.join(action.sandboxPidns, async (from) => {
          const made = await make(action, { ...from, find, signal, others, removed, opened }, context);
          containers.set(id, made);
          return made;
        });
        const { streams } = container.first;
        if (stdio !== undefined) streams.passing = passStdio(streams, stdio, spec.process?.terminal ?? false);
      }),
  });
}

/** The oldest first: the sandbox's first container, and those that are being made last. */
function otherOwners(
  { containers, making }: Guest,
  made: string,
): readonly (PlaceOwner & { readonly id: string })[] {
  return [...containers.values(), ...making.owners]
    .filter(({ id }) => id !== made)
    .map(({ id, sources }) => ({ named: `container ${id}`, id, sources }));
}

/** Those that were removed: a container may be made again under its id, of its own places. */
function removedOwners({ sandbox }: Guest, made: string): readonly PlaceOwner[] {
  return sandbox.removedPlaces
    .filter(({ id }) => id !== made)
    .map(({ id, sources }) => ({ named: `container ${id}, which was removed`, sources }));
}

function admit({ containers, making, context }: Guest, id: string): void {
  checkContainerId(id);
  if (containers.has(id)) throw new GuestError('exists', `container ${id} exists`);
  if (context.waits.has(id))
    throw new GuestError('exists', `container ${id} is being made: it waits for what it needs`);
  const limit = context.limits.containers;
  if (containers.size + making.ids.length >= limit) {
    throw new GuestError('exhausted', `there are ${limit} containers (limits.containers)`);
  }
  context.runtime.installed();
}

function checkCount(named: 'mounts' | 'storages', all: readonly unknown[]): void {
  if (all.length > maxMounts)
    throw new GuestError(
      'invalid',
      `the request has ${all.length} ${named}, and a container has at most ${maxMounts}: mount a directory in the place of what is in it`,
    );
}
