import { killAll, processesOf } from '../cgroup/kill-all.js';
import { bundleOf } from '../container/bundle.js';
import { cgroupNameOf } from '../cgroup/cgroup-names.js';
import { PinnedNamespaces } from '../container/pinned-namespaces.js';
import { Container } from '../container/container.js';
import type {
  CgroupPart,
  GuestContext,
  SettingsPart,
  StoragePart,
  SystemPart,
} from '../context/guest-context.js';
import { persistContainer } from '../state/persist-container.js';
import { UndoStack } from '../undo-stack.js';
import { remove, type RuntimeStatus } from '../runtime/commands.js';
import { cgroupOf, type FinishedContainer, rlimitsOf } from '../state/saved-container.js';
import { removeTree } from '../removal/remove-tree.js';
import { recoverProcess } from './recover-process.js';
import { openPipesOf } from './recover-streams.js';

/** The parts of the guest that restoring uses. */
type RecoveryContext = Pick<SettingsPart, 'paths' | 'limits' | 'output' | 'pipeSize'> &
  Pick<SystemPart, 'syscalls' | 'media' | 'log'> &
  CgroupPart &
  StoragePart &
  Pick<GuestContext, 'runtime' | 'disks' | 'vfio' | 'records'>;

/** Restores a container of an earlier agent, with the steps that undo its creation. */
export function recoverContainer(
  record: FinishedContainer,
  status: RuntimeStatus,
  context: RecoveryContext,
): Container {
  const { id, order, storages, sources, roots, namespaces, annotations } = record;
  const { cpus, terminationLog, noNewPrivileges, capabilities, disks, pciDevices } = record;
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
  for (const exec of record.execs) container.addExec(exec.execId, recoverProcess(id, exec, open, context));
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

/** The undo steps of create-container.ts, in its order. */
function pushSteps(
  { id, first, storages, roots, cgroup, pinned, disks, pciDevices, made }: Container,
  context: RecoveryContext,
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
