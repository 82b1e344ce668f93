import type { ExecProcess } from '../actions.js';
import { launchProcess } from '../container/launch-process.js';
import type { Guest } from '../guest.js';
import { passStdio } from '../passfd/pass-stdio.js';
import { exec } from '../runtime/commands.js';
import { runnableProcess } from '../spec/build-spec.js';

export function execProcess(
  guest: Guest,
  { containerId, execId, process, stdio }: ExecProcess,
): Promise<void> {
  return guest.change(
    async () => {
      const { limits, capabilities, runtime } = guest.context;
      const container = guest.container(containerId);
      container.makeRoom(execId, limits.execsPerContainer);
      // Kata's runtime in Go leaves this out of what it forwards, and a setuid program would be the way around it.
      const noNewPrivileges = container.noNewPrivileges || process.noNewPrivileges;
      const runnable = runnableProcess({ ...process, noNewPrivileges }, await capabilities());
      const started = await launchProcess(
        { containerId, execId },
        process.terminal ?? false,
        (own) => exec(runtime, containerId, runnable, own),
        guest.context,
      );
      container.addExec(execId, started);
      if (stdio !== undefined)
        started.streams.passing = passStdio(started.streams, stdio, process.terminal ?? false);
    },
    () => guest.container(containerId),
  );
}
