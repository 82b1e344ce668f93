import { loadSyscalls, type Syscalls } from '@kata-agent/linux';
import { mountGuest } from './guest-mounts.js';
import { startLoadingModules, wantedModules } from './modules.js';
import { raiseLoopback } from './loopback.js';
import { endOnPanic } from './panic.js';
import { powerOff } from './power-off.js';
import { isInitramfs, leaveInitramfs } from './root.js';
import type { Complaint } from './run-tool.js';
import { onStopSignal } from '../stop-signals.js';

/** What can be done in a guest; tests put a record in its place. */
export interface FirstProcess {
  readonly syscalls: Syscalls;
  readonly isInitramfs: () => boolean;
  readonly mountGuest: (syscalls: Syscalls) => void;
  readonly endOnPanic: () => Complaint;
  readonly loadModules: () => Promise<Complaint>;
  readonly raiseLoopback: () => Complaint;
  /** Told what is missing and does not keep the agent from starting. */
  readonly warn: (text: string) => void;
  readonly onExit: (end: (code: number) => void) => void;
}

/**
 * Makes a guest of a bare kernel: the agent is PID 1, and nobody was there before it.
 *
 * PID 1 must not end: the kernel panics. However this process comes to its end (all done, `process.exit`, an exception
 * that nobody caught), Node tells `exit`, and the machine is powered off there. What Node does not tell is a crash of Node
 * itself: that is a panic, and the kernel is told to make an end of it. Before /proc is mounted only `panic=1` on the
 * kernel's line can do so.
 *
 * Resolves when the kernel's modules are loaded: that goes on beside this program, which has half of its own start before
 * it.
 */
export function beFirstProcess(guest: FirstProcess = realGuest()): Promise<void> {
  const { syscalls } = guest;
  guest.onExit((code) => powerOff(syscalls, `PID 1 ends with code ${code}`));
  if (guest.isInitramfs()) leaveInitramfs(syscalls);
  guest.mountGuest(syscalls);
  syscalls.sethostname('localhost');
  const complain = (complaint: Complaint): void => {
    if (complaint !== undefined) guest.warn(complaint);
  };
  complain(guest.endOnPanic());
  const loaded = guest.loadModules().then(complain);
  complain(guest.raiseLoopback());
  return loaded;
}

function realGuest(): FirstProcess {
  return {
    syscalls: loadSyscalls(),
    isInitramfs,
    mountGuest,
    endOnPanic: () => endOnPanic(),
    loadModules: () => startLoadingModules(wantedModules()),
    raiseLoopback: () => raiseLoopback(),
    warn: (text) => process.stderr.write(`kata-agent: ${text}\n`),
    onExit: (end) => {
      process.on('exit', end);
      // Until there is something to be ended in order.
      onStopSignal(() => process.exit(0));
      // Without a listener Node opens its debugger at SIGUSR1, to anybody on the loopback interface.
      process.on('SIGUSR1', () => undefined);
    },
  };
}
