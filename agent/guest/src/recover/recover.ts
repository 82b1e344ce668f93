import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { clearMountDirectories } from '../confidential/mount-directory.js';
import { claimSandbox } from '../sandbox/claim-sandbox.js';
import { bundles } from '../container/bundle.js';
import type { Container } from '../container/container.js';
import type { GuestContext } from '../context/guest-context.js';
import type { Sandbox } from '../sandbox/sandbox.js';
import { list } from '../runtime/commands.js';
import { containersIn } from '../runtime/state-directory.js';
import type { SavedContainer, FinishedContainer } from '../state/saved-container.js';
import { isSetAside } from '../removal/aside-name.js';
import { removeLater } from '../removal/remove-tree.js';
import { awaitEarlierRuntimes } from './earlier-runtimes.js';
import { killStrays } from './kill-strays.js';
import { recoverContainer } from './recover-container.js';
import { clearContainer, endContainer } from './end-container.js';

/** The parts of the guest to restore into. */
interface Recovered {
  readonly context: GuestContext;
  readonly sandbox: Sandbox;
  /** By id; initially empty. */
  readonly containers: Map<string, Container>;
}

/**
 * Restores the state of a killed agent (S20; docs/adr/restarts.md, "What survives a restart"). A container whose creation had
 * finished, and whose removal had not begun, is restored with its processes, streams and storages; all others are
 * removed.
 */
export async function recover({ context, sandbox: pod, containers: found }: Recovered): Promise<void> {
  const { runtime, records, storages, paths, log } = context;
  // Without the runtime nothing can be restored or removed.
  if (runtime.program === undefined) return;
  await awaitEarlierRuntimes(runtime, { syscalls: context.syscalls, proc: paths.proc });
  clearScratch(context);
  const known = containersIn(runtime.root);
  const status = known.length === 0 ? new Map<string, never>() : await list(runtime);
  const sandbox = records.loadSandbox();
  const all = records.loadContainers();
  const storagesLeft = records.loadStorages();
  const isAnythingLeft = sandbox !== undefined || [known, all, storagesLeft].some(({ length }) => length > 0);
  if (isAnythingLeft) {
    claimSandbox(context);
    clearMountDirectories(context);
  }
  const ending = sandbox?.phase === 'destroying';
  const living = ending ? [] : all.filter(isFinished).filter(({ id }) => status.has(id));
  const livingIds = new Set(living.map(({ id }) => id));
  const lost = new Set([...known, ...all.map(({ id }) => id)].filter((id) => !livingIds.has(id)));
  for (const id of lost) {
    log('warn', `container ${id} was left unfinished by an earlier agent, and is removed`, { container: id });
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
      found.set(id, recoverContainer(record, status.get(id) ?? 'stopped', context));
      log('info', `container ${id} of an earlier agent is restored`, { container: id });
    } catch (error) {
      log(
        'error',
        `container ${id} of an earlier agent cannot be restored, and is removed: ${String(error)}`,
        {
          container: id,
        },
      );
      await endContainer(id, record, context);
      await clearContainer(id, context);
    }
  }
  const containers = [...found.values()];
  const ended = all.filter(isEnded).filter(({ id }) => !found.has(id));
  await pod.restore(sandbox, containers, ended);
  killStrays(containers, context);
  clearOutput(containers, paths.state);
  const places = [paths.kata, join(paths.kata, 'shared/containers'), join(paths.state, bundles)];
  const removals = context.claim.held ? places.filter((each) => existsSync(each)) : [];
  for (const directory of removals)
    for (const name of readdirSync(directory).filter(isSetAside)) removeLater(join(directory, name), context);
  context.ancestors.sweep();
}

/** Removes temporary files of the killed agent's commands, all of which have ended. */
function clearScratch({ runtime }: Pick<GuestContext, 'runtime'>): void {
  for (const name of readdirSync(runtime.scratch)) rmSync(join(runtime.scratch, name), { recursive: true });
}

/** Removes all output logs if no container was restored. */
function clearOutput(containers: readonly Container[], state: string): void {
  if (containers.length === 0) rmSync(join(state, 'output'), { recursive: true, force: true });
}

/** Reports whether its creation had finished. */
function isEnded(record: SavedContainer): record is FinishedContainer {
  return record.phase !== 'creating';
}

function isFinished(record: SavedContainer): record is FinishedContainer {
  return record.phase === 'made';
}
