import type { CreateContainer, RemoveContainer, UpdateContainer } from '../request/actions.js';
import { untilFrozen } from '../cgroup/freeze-and-kill.js';
import type { ContainerStats } from '../cgroup/container-stats.js';
import { networkStats } from '../cgroup/network-stats.js';
import type { Container } from '../container/container.js';
import { createContainer as make } from '../create/create-container.js';
import { removeContainer as remove } from '../container/remove-container.js';
import { containerNamed, sourceMounts } from '../container/share-mounts.js';
import { wantedDevices } from '../device/attach-devices.js';
import { GuestError, translated } from '../guest-error.js';
import type { Guest } from '../guest.js';
import { usedStorages } from '../image/verified-root.js';
import { passStdio } from '../stdio/pass-stdio.js';
import { pause, resume, start, update } from '../runtime/command-lines.js';
import type { PlaceOwner } from '../source/place-owner.js';
import { admitRequest } from '../create/admission.js';
import { onlineCpus } from '../resource/online.js';
import { missingCpus, settableResources } from '../spec/resources.js';
import { cleanStorages } from '../storage/clean-storages.js';

export async function createContainer(guest: Guest, requested: CreateContainer): Promise<void> {
  const action = { ...requested, storages: cleanStorages(requested.storages) };
  const { id, stdio, spec } = action;
  const { containers, sandbox, context, creating, signal } = guest;
  const loading = context.cdi.prepare(spec);
  if (loading !== undefined) await loading;
  const find = (name: string) => containerNamed(containers.values(), name, context.namesOf);
  return guest.changeWith({
    scope: { container: id },
    admit: () =>
      admitRequest({
        action,
        paths: context.paths,
        hooks: context.hooks,
        verifiedLayers: context.verifiedLayers,
        access: context.access,
        containers: {
          count: containers.size + creating.ids.length,
          limit: context.limits.containers,
          has: (name) => containers.has(name),
          had: (name) => context.idsOnce && sandbox.removedPlaces.had(name),
          isWaiting: (name) => context.waits.has(name),
        },
        installedRuntime: () => context.runtime.installed(),
      }),
    needs: () => [
      ...wantedDevices(action.devices ?? []),
      ...context.cdi.wanted(spec),
      ...context.storages.needs(usedStorages(action, context)),
      ...sourceMounts(action.sharedMounts ?? [], find, context.paths),
    ],
    task: () =>
      creating.during(action, async (opened) => {
        const others = () => otherOwners(guest, id);
        const removed = sandbox.removedPlaces;
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

/** Oldest first: the sandbox's first container, and last those that are being created. */
function otherOwners(
  { containers, creating }: Guest,
  made: string,
): readonly (PlaceOwner & { readonly id: string })[] {
  return [...containers.values(), ...creating.owners]
    .filter(({ id }) => id !== made)
    .map(({ id, sources }) => ({ named: `container ${id}`, id, sources }));
}

export function startContainer(guest: Guest, id: string): Promise<void> {
  const task = async (): Promise<void> => {
    const { runtime, commands } = guest.context;
    const container = startable(guest, id);
    await commands.run({ container: id, command: 'start', call: guest.signal }, (signal) =>
      start(runtime, id, signal),
    );
    container.state = 'started';
  };
  return guest.change(task, { container: id }, () => startable(guest, id));
}

function startable(guest: Guest, id: string): Container {
  const container = guest.container(id);
  if (container.state !== 'created')
    throw new GuestError('precondition', `container ${id} was started before`);
  return container;
}

/**
 * Removes a container. Kills a running one; cancels the creation of one that waits for a device or the runtime. Changes
 * that wait for the container are aborted at once, so that they do not delay its removal.
 */
export function removeContainer(guest: Guest, { id, timeoutSeconds }: RemoveContainer): Promise<void> {
  const why = 'the container was removed';
  const { waits, commands } = guest.context;
  const known = waits.has(id) || guest.containerStatus(id) !== undefined;
  // After the audit record and before the head of the queue: ends what blocks the queue.
  const ending = known ? guest.begin().then(() => commands.endAll(why, id)) : undefined;
  const task = async (): Promise<void> => {
    const ended = await ending;
    if (waits.giveUp(why, id)) return;
    if (ended?.aborted === true && !guest.containers.has(id)) return;
    await takeDown(guest, guest.container(id), timeoutSeconds);
  };
  const done = guest.change(task, { container: id }, () => known || guest.container(id));
  return Promise.allSettled([ending, done]).then(([ended]) => {
    if (ended.status === 'fulfilled') ended.value?.admit();
    return done;
  });
}

/** Removes a container, and forgets it once all is undone. Part of a change. */
export async function takeDown(guest: Guest, container: Container, timeoutSeconds: number): Promise<void> {
  guest.noteSignal(container);
  try {
    await remove(container, timeoutSeconds, guest.context, () => guest.sandbox.left(container));
  } finally {
    if (container.made.empty) {
      guest.containers.delete(container.id);
      guest.context.statistics.forget(container.id);
    }
  }
}

export function updateContainer(guest: Guest, { id, resources }: UpdateContainer): Promise<void> {
  const { runtime, commands, capabilities, paths, log } = guest.context;
  const task = async (): Promise<void> => {
    const container = guest.container(id);
    const { hugePages } = await capabilities();
    const cpus = resources.cpu?.cpus ?? '';
    const online = onlineCpus(paths.sys);
    const settable = settableResources(resources, { hugePages, onlineCpus: online });
    for (const warning of missingCpus(cpus, online)) log('warn', warning, { container: id });
    await commands.run({ container: id, command: 'update', call: guest.signal }, (signal) =>
      update(runtime, id, settable, signal),
    );
    if (cpus === '') return;
    container.cpus = cpus;
    container.changed();
  };
  return guest.change(task, { container: id }, () => guest.container(id));
}

export function statsContainer(guest: Guest, id: string): Promise<ContainerStats> {
  return translated(async () => {
    const { statistics, paths } = guest.context;
    const stats = await statistics.read(id, guest.container(id).cgroup);
    // It may have been removed meanwhile, and its files with it.
    guest.container(id);
    return { ...stats, network: networkStats(paths.proc) };
  });
}

export function pauseContainer(guest: Guest, id: string): Promise<void> {
  const task = async (): Promise<void> => {
    const { runtime, commands } = guest.context;
    const container = pausable(guest, id);
    await commands.run({ container: id, command: 'pause', call: guest.signal }, async (signal) => {
      await pause(runtime, id, signal);
      await untilFrozen(container.cgroup, signal);
    });
    container.state = 'paused';
  };
  return guest.change(task, { container: id }, () => pausable(guest, id));
}

function pausable(guest: Guest, id: string): Container {
  const container = guest.container(id);
  if (container.state !== 'started' || container.first.ended)
    throw new GuestError('precondition', `container ${id} does not run, so it cannot be paused`);
  return container;
}

export function resumeContainer(guest: Guest, id: string): Promise<void> {
  const task = async (): Promise<void> => {
    const { runtime, commands } = guest.context;
    const container = resumable(guest, id);
    await commands.run({ container: id, command: 'resume', call: guest.signal }, (signal) =>
      resume(runtime, id, signal),
    );
    container.state = 'started';
  };
  return guest.change(task, { container: id }, () => resumable(guest, id));
}

function resumable(guest: Guest, id: string): Container {
  const container = guest.container(id);
  if (container.state !== 'paused') throw new GuestError('precondition', `container ${id} is not paused`);
  return container;
}
