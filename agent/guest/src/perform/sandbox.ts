import type { CreateSandbox, GuestDetails, GuestDetailsQuery } from '../request/actions.js';
import { guestDetails } from '../sandbox/details.js';
import { GuestError, translated } from '../guest-error.js';
import type { Guest } from '../guest.js';
import { checkKernelModules } from '../sandbox/kernel-modules.js';
import { reseedRandom as reseed } from '../resource/reseed-random.js';
import { type ClockChange, type DateTime, setClock as set } from '../resource/set-clock.js';
import { cleanStorages } from '../storage/clean-storages.js';
import { takeDown } from './containers.js';

export async function createSandbox(guest: Guest, requested: CreateSandbox): Promise<void> {
  const action = { ...requested, storages: cleanStorages(requested.storages) };
  const { containers, context, sandbox } = guest;
  return guest.changeWith({
    scope: 'whole',
    admit: () => {
      if (containers.size > 0) {
        throw new GuestError('precondition', 'there are containers already; the sandbox comes before them');
      }
      sandbox.admit(action);
      checkKernelModules(action.kernelModules ?? [], context.access);
    },
    needs: () => context.storages.needs(action.storages),
    task: () => sandbox.create(action),
  });
}

/** A process that does not end for so long after SIGKILL delays neither the other containers nor the end of the pod. */
const patienceSeconds = 30;

/** Removes all containers and what they shared. Does nothing without a sandbox. */
export function destroySandbox(guest: Guest): Promise<void> {
  const why = 'the sandbox was destroyed';
  const { waits, commands } = guest.context;
  // After the audit record and before the head of the queue, which they would block.
  const ending = guest.begin().then(() => commands.endAll(why));
  const task = async (): Promise<void> => {
    waits.giveUp(why);
    guest.sandbox.beginEnd();
    const failures: unknown[] = [];
    // The first container holds the namespaces of the others: it is removed last.
    for (const container of [...guest.containers.values()].reverse()) {
      await takeDown(guest, container, patienceSeconds).catch((error: unknown) => failures.push(error));
    }
    await guest.sandbox.destroy();
    if (failures.length > 0) throw failures[0];
  };
  const done = guest.takeDown(task);
  return Promise.allSettled([ending, done]).then(([ended]) => {
    if (ended.status === 'fulfilled') ended.value.admit();
    return done;
  });
}

/**
 * Removes everything, as destroySandbox, and stops waiting for processes; for the agent's shutdown. No change is
 * possible after it.
 */
export async function shutDown(guest: Guest): Promise<void> {
  try {
    const destroyed = destroySandbox(guest);
    guest.closeChanges();
    await destroyed;
  } finally {
    guest.context.waits.giveUp('the agent ended');
    guest.context.reaper.stop();
  }
}

/** Returns facts about the guest; constant, but for memory hotplug. */
export function getGuestDetails({ context }: Guest, query: GuestDetailsQuery): Promise<GuestDetails> {
  return translated(async () => {
    const { seccomp } = await context.capabilities();
    return guestDetails(query, context.paths.sys, seccomp);
  });
}

/** Waits for the next OOM kill in a container; returns the container's id. */
export function nextOomEvent({ context }: Guest, signal: AbortSignal): Promise<string> {
  return context.oom.next(signal);
}

export function reseedRandom({ context }: Guest, data: Uint8Array): Promise<void> {
  return translated(async () => reseed(data, context.syscalls));
}

/** Sets the guest's clock, but not back or below its floor; returns its times before and after. */
export function setClock({ context }: Guest, time: DateTime): Promise<ClockChange> {
  return translated(async () => {
    const change = set(time, context.clock, context.syscalls);
    if (change.after === change.before)
      context.log('warn', 'SetGuestDateTime left the clock: the time is not after the current one');
    return change;
  });
}
