import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, processStat, SIGKILL, type Syscalls } from '@kata-agent/linux';
import { killAll, processesOf } from '../cgroup/freeze-and-kill.js';
import { clearMountDirectories } from '../confidential/mount-directory.js';
import { claimSandbox, type ClaimServices } from '../sandbox/claim-sandbox.js';
import type { VfioDevices } from '../device/vfio-devices.js';
import type { GuestLog } from '../guest-log.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import type { SavedState } from '../state/saved-state.js';
import { bundleOf, bundles } from '../container/bundle.js';
import type { Container } from '../container/container.js';
import type { Sandbox } from '../sandbox/sandbox.js';
import { list, remove } from '../runtime/command-lines.js';
import { containersIn, type OciRuntime } from '../runtime/oci-runtime.js';
import { cgroupOf, type FinishedContainer, type SavedContainer } from '../state/saved-container.js';
import { isSetAside, type RemovalContext, removeLater, removeTree } from '../removal/remove-tree.js';
import { recoverContainer, type RestoreServices } from './recover-container.js';

/** Time after which a command that hangs is killed: ten times what one takes. */
const TIMEOUT_MS = 10_000;

const PAUSE_MS = 20;

interface EndServices {
  readonly runtime: OciRuntime;
  readonly vfio: VfioDevices;
  readonly syscalls: Syscalls;
  readonly log: GuestLog;
}

interface ClearServices extends RemovalContext {
  readonly paths: GuestPaths;
  readonly records: SavedState;
}

interface StrayServices {
  readonly syscalls: Syscalls;
  readonly paths: GuestPaths;
  readonly log: GuestLog;
}

/** The parts of the guest that recovery uses. */
export type RecoveryServices = ClaimServices & RestoreServices & EndServices & ClearServices & StrayServices;

/** The parts of the guest to restore into. */
interface Recovered {
  readonly context: RecoveryServices;
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
      found.set(id, await recoverContainer(record, status.get(id) ?? 'stopped', context));
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
function clearScratch({ runtime }: EndServices): void {
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

/**
 * Waits for commands of the runtime that a killed agent had started: they are still running, and would change what is
 * being restored. Kills one that does not end.
 */
async function awaitEarlierRuntimes(
  runtime: OciRuntime,
  { syscalls, proc }: { readonly syscalls: Syscalls; readonly proc: string },
): Promise<void> {
  for (let waited = 0; ; waited += PAUSE_MS) {
    const running = runtimesAtWork(runtime.root, proc);
    if (running.length === 0) return;
    if (waited >= TIMEOUT_MS) for (const pid of running) kill(pid, syscalls);
    await delay(PAUSE_MS);
  }
}

/**
 * Returns processes of this mount namespace that were started with `--root ROOT`. A guest has one agent; a test machine
 * several.
 */
function runtimesAtWork(root: string, proc: string): readonly number[] {
  const own = link(join(proc, 'self/ns/mnt'));
  return readdirSync(proc)
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => read(join(proc, pid, 'cmdline')).includes(`\0--root\0${root}\0`))
    .filter((pid) => link(join(proc, pid, 'ns/mnt')) === own)
    .map(Number);
}

function kill(pid: number, syscalls: Syscalls): void {
  try {
    syscalls.kill(pid, SIGKILL);
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}

function read(path: string): string {
  return whileThere(() => readFileSync(path, 'utf8'));
}

function link(path: string): string {
  return whileThere(() => readlinkSync(path));
}

/** Returns an empty string if the process has ended meanwhile. */
function whileThere(readFile: () => string): string {
  try {
    return readFile();
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES')) return '';
    throw error;
  }
}

/** Removes a container whose creation or removal was not finished, or whose state is unknown. */
async function endContainer(
  id: string,
  record: SavedContainer | undefined,
  { runtime, vfio, syscalls, log }: EndServices,
): Promise<void> {
  try {
    // Also thaws a cgroup that an agent had frozen in order to kill it.
    if (record !== undefined && record.phase !== 'creating') await killAll(cgroupOf(record), syscalls);
    await remove(runtime, id);
    for (const address of record?.pciDevices ?? []) vfio.giveBack(address);
  } catch (error) {
    log('error', `container ${id} of an earlier agent cannot be ended: ${String(error)}`, { container: id });
  }
}

/** Removes its bundle and its state file, once its storages are released. */
async function clearContainer(id: string, context: ClearServices): Promise<void> {
  const { paths, records, log } = context;
  const bundle = bundleOf(id, paths);
  try {
    if (existsSync(bundle)) {
      await context.media.run('unmountTree', { directory: bundle });
      await removeTree(bundle, context);
    }
    records.removeContainer(id);
  } catch (error) {
    log('error', `the bundle of container ${id} of an earlier agent cannot be removed: ${String(error)}`, {
      container: id,
    });
  }
}

/**
 * Kills processes that an agent had started in a container but was killed before it saved them: execs whose caller got
 * no response, and which no client can wait for. They are recognized by a parent outside the container: orphans of a
 * container's own processes are reparented to the first process of its pid namespace.
 */
function killStrays(containers: readonly Container[], { syscalls, paths, log }: StrayServices): void {
  const inside = new Map(containers.map((container) => [container, processesOf(container.cgroup)]));
  const all = new Set([...inside.values()].flat());
  for (const [container, pids] of inside) {
    const known = new Set(container.processes.map(({ pid }) => pid));
    for (const pid of pids) {
      const stat = known.has(pid) ? undefined : processStat(pid, paths.proc);
      if (stat === undefined || stat.state === 'Z' || all.has(stat.parent)) continue;
      log(
        'warn',
        `process ${pid} in container ${container.id} is an exec that no client can wait for: it is killed`,
        {
          container: container.id,
        },
      );
      kill(pid);
    }
  }

  function kill(pid: number): void {
    try {
      syscalls.kill(pid, SIGKILL);
    } catch (error) {
      if (!hasCode(error, 'ESRCH')) throw error;
    }
  }
}
