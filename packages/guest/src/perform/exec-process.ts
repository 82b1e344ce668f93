import type { ExecProcess } from '../actions.js';
import { checkBoundingSet, checkLastCapability } from '../container/bounding-set.js';
import { killIfThere, launchProcess } from '../container/launch-process.js';
import type { Guest } from '../guest.js';
import { passStdio } from '../passfd/pass-stdio.js';
import { exec } from '../runtime/commands.js';
import { runnableProcess } from '../spec/build-spec.js';

export function execProcess(
  guest: Guest,
  { containerId, execId, process, stdio }: ExecProcess,
): Promise<void> {
  const { limits, capabilities, runtime, commands } = guest.context;
  const task = async (): Promise<void> => {
    const container = guest.container(containerId);
    container.makeRoom(execId, limits.execsPerContainer);
    // Kata's runtime in Go leaves this out of what it forwards, and a setuid program would be the way around it.
    const noNewPrivileges = container.noNewPrivileges || process.noNewPrivileges;
    const runnable = runnableProcess({ ...process, noNewPrivileges }, await capabilities());
    const { proc } = guest.context.paths;
    const { pid } = container.first;
    container.pinned.check(containerId);
    checkLastCapability(pid, proc, containerId);
    const started = await launchProcess(
      { containerId, execId },
      process.terminal ?? false,
      (own) =>
        commands.run({ container: containerId, execId, command: 'exec', call: guest.signal }, (signal) =>
          exec(runtime, containerId, runnable, own, signal),
        ),
      guest.context,
    );
    try {
      // Once more: a process that has left its namespaces in between cannot come back into them.
      container.pinned.check(containerId);
      checkBoundingSet(started.pid, runnable.capabilities ?? {}, proc, containerId);
    } catch (error) {
      killIfThere(started.pid, guest.context);
      await started.exit;
      started.streams.end();
      throw error;
    }
    container.addExec(execId, started);
    if (stdio !== undefined)
      started.streams.passing = passStdio(started.streams, stdio, process.terminal ?? false);
  };
  return guest.change(task, { container: containerId }, () => guest.container(containerId));
}
