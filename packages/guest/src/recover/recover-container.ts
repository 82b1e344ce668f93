import { unmountTree } from '@kata-agent/linux';
import { killAll, processesOf } from '../cgroup/kill-all.js';
import { bundleOf } from '../container/bundle.js';
import { cgroupNameOf } from '../cgroup/cgroup-names.js';
import { PinnedNamespaces } from '../container/pinned-namespaces.js';
import { Container } from '../container/container.js';
import type { GuestContext } from '../container/guest-context.js';
import { keepRecord } from '../container/keep-record.js';
import { UndoStack } from '../container/undo-stack.js';
import { remove, type RuntimeStatus } from '../runtime/commands.js';
import { cgroupOf, type FinishedContainer } from '../state/container-record.js';
import { removeTree } from '../storage/remove-tree.js';
import { recoverProcess } from './recover-process.js';
import { openPipesOf } from './recover-streams.js';

/** A container that an earlier agent had made, with all that it takes to go on with it and to take it back. */
export function recoverContainer(
  record: FinishedContainer,
  status: RuntimeStatus,
  context: GuestContext,
): Container {
  const { id, order, storages, sources, roots, namespaces, annotations } = record;
  const { cpus, terminationLog, noNewPrivileges, disks } = record;
  const cgroup = cgroupOf(record);
  const open = openPipesOf(processesOf(cgroup), context.paths.proc);
  const first = recoverProcess(id, record.first, open, context);
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
    cpus,
    terminationLog,
    noNewPrivileges,
    pinned,
    disks,
  });
  container.state = stateOf(status);
  for (const exec of record.execs) container.addExec(exec.execId, recoverProcess(id, exec, open, context));
  context.oom.add(id, cgroup);
  pushSteps(container, context);
  keepRecord(container, context);
  return container;
}

/** That a process has ended is its own matter. */
function stateOf(status: RuntimeStatus): Container['state'] {
  if (status === 'created' || status === 'paused') return status;
  return 'started';
}

/** The steps of create-container.ts, in its order, each to be taken back. */
function pushSteps(
  { id, first, storages, roots, cgroup, pinned, disks, made }: Container,
  context: GuestContext,
): void {
  const { paths, runtime, ancestors, records, syscalls, oom } = context;
  const bundle = bundleOf(id, paths);
  for (const disk of disks) made.push('device', context.disks.attachAgain(disk, id));
  made.push('record', () => records.removeContainer(id));
  made.push(`bundle ${bundle}`, () => {
    unmountTree(syscalls, bundle);
    return removeTree(bundle, context);
  });
  context.places.holdRoots(id, roots, made);
  for (const mountPoint of storages) context.storages.use(mountPoint, made);
  made.push('name of the cgroup', context.cgroups.takeBack(cgroupNameOf(cgroup, paths.cgroup)));
  made.push('cgroups above the container', () => ancestors.sweep());
  made.push('what the runtime made', () => remove(runtime, id));
  made.push('streams of the first process', () => first.streams.end());
  made.push('pinned namespaces', () => pinned.close());
  made.push('processes', async () => {
    if (first.ended) return;
    await killAll(cgroup, syscalls);
    await first.exit;
  });
  made.push('watch for want of memory', () => oom.remove(id));
}
