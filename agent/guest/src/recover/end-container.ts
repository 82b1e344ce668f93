import { existsSync } from 'node:fs';
import { bundleOf } from '../container/bundle.js';
import type { GuestContext } from '../context/guest-context.js';
import { killAll } from '../cgroup/kill-all.js';
import { remove } from '../runtime/commands.js';
import { cgroupOf, type SavedContainer } from '../state/saved-container.js';
import { type RemovalContext, removeTree } from '../removal/remove-tree.js';

/** Removes a container whose creation or removal was not finished, or whose state is unknown. */
export async function endContainer(
  id: string,
  record: SavedContainer | undefined,
  { runtime, vfio, syscalls, log }: Pick<GuestContext, 'runtime' | 'vfio' | 'syscalls' | 'log'>,
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
export async function clearContainer(
  id: string,
  context: Pick<GuestContext, 'paths' | 'records'> & RemovalContext,
): Promise<void> {
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
