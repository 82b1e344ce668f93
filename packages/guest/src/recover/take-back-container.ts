import { existsSync } from 'node:fs';
import { unmountTree } from '@kata-agent/linux';
import { bundleOf } from '../container/bundle.js';
import type { GuestContext } from '../container/guest-context.js';
import { killAll } from '../cgroup/kill-all.js';
import { remove } from '../runtime/commands.js';
import { cgroupOf, type ContainerRecord } from '../state/container-record.js';
import { removeTree } from '../storage/remove-tree.js';

/** Ends what there is of a container that was not finished, or half removed, or of which nothing is known. */
export async function endContainer(
  id: string,
  record: ContainerRecord | undefined,
  { runtime, syscalls, log }: GuestContext,
): Promise<void> {
  try {
    // Among others, this thaws what an agent had frozen that meant to kill it.
    if (record !== undefined && record.phase !== 'making') await killAll(cgroupOf(record), syscalls);
    await remove(runtime, id);
  } catch (error) {
    log('error', `container ${id} of an earlier agent cannot be ended: ${String(error)}`, { container: id });
  }
}

/** Takes back its bundle and its record, once its storages are. */
export async function clearContainer(id: string, context: GuestContext): Promise<void> {
  const { paths, records, syscalls, log } = context;
  const bundle = bundleOf(id, paths);
  try {
    if (existsSync(bundle)) {
      unmountTree(syscalls, bundle);
      await removeTree(bundle, context);
    }
    records.removeContainer(id);
  } catch (error) {
    log('error', `the bundle of container ${id} of an earlier agent cannot be removed: ${String(error)}`, {
      container: id,
    });
  }
}
