import type { ExecProcess } from '../actions.js';
import { launchProcess } from '../container/launch-process.js';
import type { Guest } from '../guest.js';
import { exec } from '../runtime/commands.js';
import { runnableProcess } from '../spec/build-spec.js';

export function execProcess(guest: Guest, { containerId, execId, process }: ExecProcess): Promise<void> {
  return guest.change(async () => {
    const { limits, capabilities, runtime } = guest.context;
    const container = guest.container(containerId);
    container.makeRoom(execId, limits.execsPerContainer);
    const runnable = runnableProcess(process, capabilities);
    const started = await launchProcess(
      { containerId, execId },
      process.terminal ?? false,
      (stdio) => exec(runtime, containerId, runnable, stdio),
      guest.context,
    );
    container.addExec(execId, started);
  });
}
