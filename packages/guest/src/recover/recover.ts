import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { claimSandbox } from '../claim-sandbox.js';
import { bundles } from '../container/bundle.js';
import type { Container } from '../container/container.js';
import type { GuestContext } from '../container/guest-context.js';
import type { Guest } from '../guest.js';
import { list } from '../runtime/commands.js';
import type { ContainerRecord, FinishedContainer } from '../state/container-record.js';
import { isSetAside, removeLater } from '../storage/remove-tree.js';
import { awaitEarlierRuntimes } from './earlier-runtimes.js';
import { killStrays } from './kill-strays.js';
import { recoverContainer } from './recover-container.js';
import { clearContainer, endContainer } from './take-back-container.js';

/**
 * Goes on where an agent was killed (S20; docs/adr/0012-what-outlives-the-agent.md). A container whose making was
 * finished, and whose removal had not begun, is found again with its processes, streams and storages; of every other
 * one nothing is left.
 */
export async function recover(guest: Guest): Promise<void> {
  const { context } = guest;
  const { runtime, records, storages, paths, log } = context;
  // Whatever there is, nothing can be done about it without the runtime, as everything else that it takes one for.
  if (runtime.program === undefined) return;
  await awaitEarlierRuntimes(runtime, { syscalls: context.syscalls, proc: paths.proc });
  clearScratch(context);
  const known = readdirSync(runtime.root);
  const status = known.length === 0 ? new Map<string, never>() : await list(runtime);
  const sandbox = records.loadSandbox();
  const all = records.loadContainers();
  const storagesLeft = records.loadStorages();
  const found = sandbox !== undefined || [known, all, storagesLeft].some(({ length }) => length > 0);
  if (found) claimSandbox(context);
  const ending = sandbox?.phase === 'destroying';
  const living = ending ? [] : all.filter(isFinished).filter(({ id }) => status.has(id));
  const livingIds = new Set(living.map(({ id }) => id));
  const lost = new Set([...known, ...all.map(({ id }) => id)].filter((id) => !livingIds.has(id)));
  for (const id of lost) {
    log('warn', `container ${id} was not finished by an earlier agent, and is removed`, { container: id });
    const record = all.find((each) => each.id === id);
    await endContainer(id, record, context);
  }
  const ofSandbox = sandbox?.phase === 'made' ? sandbox.storages : [];
  const used = [...ofSandbox, ...living.flatMap((record) => record.storages)];
  await storages.restore(storagesLeft, used);
  for (const id of lost) await clearContainer(id, context);
  for (const record of living) {
    const { id } = record;
    try {
      guest.containers.set(id, recoverContainer(record, status.get(id) ?? 'stopped', context));
      log('info', `container ${id} of an earlier agent is found again`, { container: id });
    } catch (error) {
      log(
        'error',
        `container ${id} of an earlier agent is removed, since it cannot be gone on with: ${String(error)}`,
        {
          container: id,
        },
      );
      await endContainer(id, record, context);
      await clearContainer(id, context);
    }
  }
  const containers = [...guest.containers.values()];
  const ended = all.filter(isEnded).filter(({ id }) => !guest.containers.has(id));
  await guest.sandbox.restore(sandbox, containers, ended);
  killStrays(containers, context);
  clearOutput(containers, paths.state);
  const places = [paths.kata, join(paths.kata, 'shared/containers'), join(paths.state, bundles)];
  const removals = context.claim.held ? places.filter((each) => existsSync(each)) : [];
  for (const directory of removals)
    for (const name of readdirSync(directory).filter(isSetAside)) removeLater(join(directory, name), context);
  context.ancestors.sweep();
}

/** Short-lived files of commands that are over by now. */
function clearScratch({ runtime }: GuestContext): void {
  for (const name of readdirSync(runtime.scratch)) rmSync(join(runtime.scratch, name), { recursive: true });
}

/** Output that was kept for containers that are gone. */
function clearOutput(containers: readonly Container[], state: string): void {
  if (containers.length === 0) rmSync(join(state, 'output'), { recursive: true, force: true });
}

/** Whether it was once made. */
function isEnded(record: ContainerRecord): record is FinishedContainer {
  return record.phase !== 'making';
}

function isFinished(record: ContainerRecord): record is FinishedContainer {
  return record.phase === 'made';
}
