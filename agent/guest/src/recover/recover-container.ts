import { fstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { closePipeEnd, type Descriptor, foreignExit, hasCode, Open, openPipeEnd } from '@kata-agent/linux';
import { killAll, processesOf } from '../cgroup/freeze-and-kill.js';
import { bundleOf } from '../container/bundle.js';
import { cgroupNameOf, type CgroupNames } from '../cgroup/cgroup-names.js';
import { ContainerProcess } from '../container/container-process.js';
import { PinnedNamespaces } from '../container/pinned-namespaces.js';
import { Container } from '../container/container.js';
import { UNKNOWN_EXIT } from '../container/launch-process.js';
import type { CgroupAncestors } from '../cgroup/cgroup-ancestors.js';
import type { OomWatch } from '../cgroup/oom-watch.js';
import type { PathReservations } from '../container/path-reservations.js';
import type { Disks } from '../device/disks.js';
import type { VfioDevices } from '../device/vfio-devices.js';
import type { GuestLog } from '../guest-log.js';
import type { HostMedia } from '../media/host-media.js';
import type { OciRuntime } from '../runtime/oci-runtime.js';
import { type SavedState, persistContainer } from '../state/saved-state.js';
import type { StorageTable } from '../storage/storage-table.js';
import { UndoStack } from '../undo-stack.js';
import { remove, type RuntimeStatus } from '../runtime/command-lines.js';
import { cgroupOf, type FinishedContainer, rlimitsOf, type SavedProcess } from '../state/saved-container.js';
import { removeTree } from '../removal/remove-tree.js';
import type { ProcessRef } from '../request/actions.js';
import { type PipeInodes, pipeStreams, type StreamOptions } from '../stdio/prepare-streams.js';
import type { ProcessStreams } from '../stdio/process-streams.js';

/** A process that holds the lock of its pipe for so long when the agent starts again loses the stream. */
const OPEN_MS = 1_000;

interface ProcessServices extends StreamOptions {
  readonly oom: OomWatch;
  readonly log: GuestLog;
}

/** The parts of the guest that restoring a container uses. */
export interface RestoreServices extends ProcessServices {
  readonly media: HostMedia;
  readonly runtime: OciRuntime;
  readonly ancestors: CgroupAncestors;
  readonly cgroups: CgroupNames;
  readonly disks: Disks;
  readonly vfio: VfioDevices;
  readonly storages: StorageTable;
  readonly reservations: PathReservations;
  readonly records: SavedState;
}

/** Restores a container of an earlier agent, with the steps that undo its creation. */
export async function recoverContainer(
  record: FinishedContainer,
  status: RuntimeStatus,
  context: RestoreServices,
): Promise<Container> {
  const { id, order, storages, sources, roots, namespaces, annotations } = record;
  const { cpus, terminationLog, noNewPrivileges, capabilities, disks, pciDevices } = record;
  const cgroup = cgroupOf(record);
  const open = openPipesOf(processesOf(cgroup), context.paths.proc);
  const first = await recoverProcess(id, record.first, open, context);
  const made = new UndoStack();
  const pinned = PinnedNamespaces.open(record.first.pid, context.paths.proc);
  const container = new Container({
    id,
    order,
    storages,
    sources,
    roots,
    first,
    cgroup,
    namespaces: new Set(namespaces),
    made,
    annotations,
    mounts: record.mounts,
    cpus,
    terminationLog,
    noNewPrivileges,
    capabilities,
    rlimits: rlimitsOf(record),
    pinned,
    disks,
    pciDevices,
    pciAddresses: new Map(record.pciAddresses),
  });
  container.state = stateOf(status);
  for (const exec of record.execs)
    container.addExec(exec.execId, await recoverProcess(id, exec, open, context));
  context.oom.add(id, cgroup, () => first.noteKill());
  pushSteps(container, context);
  persistContainer(container, context);
  return container;
}

/** The process's record says whether it has ended. */
function stateOf(status: RuntimeStatus): Container['state'] {
  if (status === 'created' || status === 'paused') return status;
  return 'started';
}

/** The undo steps of the phases in create/create-container.ts, in their order. */
function pushSteps(
  { id, first, storages, roots, cgroup, pinned, disks, pciDevices, made }: Container,
  context: RestoreServices,
): void {
  const { paths, runtime, ancestors, records, syscalls, oom } = context;
  const bundle = bundleOf(id, paths);
  made.push('record', () => records.removeContainer(id));
  for (const disk of disks) made.push('device', context.disks.attachAgain(disk, id));
  for (const address of pciDevices) made.push(`PCI device ${address}`, context.vfio.register(address, id));
  made.push(`bundle ${bundle}`, async () => {
    await context.media.run('unmountTree', { directory: bundle });
    return removeTree(bundle, context);
  });
  context.reservations.reserveRoots(id, roots, made);
  for (const mountPoint of storages) context.storages.use(mountPoint, made);
  made.push('name of the cgroup', context.cgroups.reclaim(cgroupNameOf(cgroup, paths.cgroup)));
  made.push('cgroups above the container', () => ancestors.sweep());
  made.push('what the runtime made', () => remove(runtime, id));
  made.push('streams of the first process', () => first.streams.end());
  made.push('pinned namespaces', () => pinned.close());
  made.push('processes', async () => {
    if (first.ended) return;
    await killAll(cgroup, syscalls);
    await first.exit;
  });
  made.push('OOM watch', () => oom.remove(id));
}

/**
 * Restores a process of an earlier agent: opens its pipes again, and waits for its exit though it is not a child of
 * this agent.
 */
async function recoverProcess(
  containerId: string,
  record: SavedProcess,
  open: OpenPipes,
  context: ProcessServices,
): Promise<ContainerProcess> {
  const { execId, pid, startTime, pipes, waitedFor, signalled = false } = record;
  const ref = { containerId, execId: execId === '' ? containerId : execId };
  return new ContainerProcess({
    pid,
    startTime,
    pipes,
    waitedFor,
    signalled,
    streams: await recoverStreams(ref, pipes, open, context),
    exit: exitOf(record, ref, context),
  });
}

/** Never rejects. An exit while no agent ran is reported as unknown, here and in the log. */
async function exitOf(
  { pid, startTime, exit }: SavedProcess,
  { containerId, execId }: ProcessRef,
  { syscalls, paths, oom, log }: ProcessServices,
): Promise<number> {
  if (exit !== undefined) return exit;
  let reason = 'it ended while no agent was running';
  try {
    const status = await foreignExit(syscalls, { pid, startTime }, { proc: paths.proc });
    oom.check(containerId);
    if (status !== undefined) return status.code;
  } catch (error) {
    reason = String(error);
  }
  log('warn', `the exit code of process ${pid} is lost, and reported as ${UNKNOWN_EXIT}: ${reason}`, {
    container: containerId,
    exec: execId,
  });
  return UNKNOWN_EXIT;
}

/** Paths of procfs at which pipes can be opened again, by inode. */
type OpenPipes = ReadonlyMap<number, string>;

/** Returns the pipes that these processes have open. */
function openPipesOf(pids: Iterable<number>, proc: string): OpenPipes {
  const found = new Map<number, string>();
  for (const pid of pids) {
    const directory = join(proc, String(pid), 'fd');
    for (const name of entries(directory)) {
      const path = join(directory, name);
      const inode = /^pipe:\[(\d+)\]$/.exec(target(path))?.[1];
      if (inode !== undefined && !found.has(Number(inode))) found.set(Number(inode), path);
    }
  }
  return found;
}

/** Opens new ends of a process's pipes, as the killed agent had them. A pipe that no process has open has ended. */
async function recoverStreams(
  ref: ProcessRef,
  pipes: PipeInodes | undefined,
  open: OpenPipes,
  options: ProcessServices,
): Promise<ProcessStreams> {
  const end = (inode: number | undefined, flags: number): Promise<Descriptor | undefined> => {
    const path = inode === undefined ? undefined : open.get(inode);
    if (inode === undefined || path === undefined) return Promise.resolve(undefined);
    return openAgain({ inode, path, flags: flags | Open.NonBlock }, ref, options);
  };
  const [stdin, stdout, stderr] = pipes ?? [];
  const ends = await Promise.all([
    end(stdin, Open.WriteOnly),
    end(stdout, Open.ReadOnly),
    end(stderr, Open.ReadOnly),
  ]);
  return pipeStreams(ref, ends, options);
}

interface KnownPipe {
  readonly inode: number;
  readonly path: string;
  readonly flags: number;
}

/** Undefined: the stream has ended. */
async function openAgain(
  { inode, path, flags }: KnownPipe,
  { containerId, execId }: ProcessRef,
  { syscalls, log }: ProcessServices,
): Promise<Descriptor | undefined> {
  try {
    const found = await openPipeEnd(syscalls, {
      path,
      flags,
      owner: containerId,
      milliseconds: OPEN_MS,
    });
    if (fstatSync(found.fd).ino === inode) return found;
    // The process has closed it since, and reused the number for another file.
    closePipeEnd(found, containerId);
    return undefined;
  } catch (error) {
    // It has ended since, or no process reads its stdin any more.
    if (hasCode(error, 'ENOENT', 'ESRCH', 'ENXIO')) return undefined;
    if (!hasCode(error, 'ETIMEDOUT')) throw error;
    log('warn', `a process holds its pipe, which cannot be opened again: ${String(error)}`, {
      container: containerId,
      exec: execId,
    });
    return undefined;
  }
}

function entries(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return [];
    throw error;
  }
}

/** Empty: the descriptor is closed by now. */
function target(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return '';
    throw error;
  }
}
