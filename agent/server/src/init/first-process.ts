import { loadSyscalls, type Syscalls } from '@kata-agent/linux';
import { imageHostname } from './image-hostname.js';
import { mountGuest } from './guest-mounts.js';
import { startLoadingModules, wantedModules } from './modules.js';
import { raiseLoopback } from './loopback.js';
import { endOnPanic } from './panic.js';
import { powerOff } from './power-off.js';
import { isInitramfs, leaveInitramfs } from './root.js';
import type { Complaint } from './run-tool.js';
import { onStopSignal } from '../stop-signals.js';

/** Operations on the guest; tests replace them. */
export interface FirstProcess {
  readonly syscalls: Syscalls;
  readonly isInitramfs: () => boolean;
  readonly mountGuest: (syscalls: Syscalls) => void;
  readonly hostname: () => string;
  readonly endOnPanic: () => Complaint;
  readonly loadModules: () => Promise<Complaint>;
  readonly raiseLoopback: () => Complaint;
  /** Receives warnings: missing devices or modules do not prevent the start. */
  readonly warn: (text: string) => void;
  readonly onExit: (end: (code: number) => void) => void;
}

/**
 * Sets up the guest when the agent is PID 1, started by the kernel.
 *
 * The kernel panics when PID 1 exits. Node emits `exit` however this process ends (normally, `process.exit`, an
 * uncaught exception), and that handler powers the machine off. A crash of Node itself emits nothing: it is a panic,
 * for which the kernel is set to reboot. Before /proc is mounted only `panic=1` on the kernel command line has that
 * effect.
 *
 * Resolves when the kernel modules are loaded, which happens concurrently with the rest of the start.
 */
export function beFirstProcess(guest: FirstProcess = realGuest()): Promise<void> {
  const { syscalls } = guest;
  guest.onExit((code) => powerOff(syscalls, `PID 1 ends with code ${code}`));
  if (guest.isInitramfs()) leaveInitramfs(syscalls);
  guest.mountGuest(syscalls);
  syscalls.sethostname(guest.hostname());
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
    hostname: () => imageHostname(),
    endOnPanic: () => endOnPanic(),
    loadModules: () => startLoadingModules(wantedModules()),
    raiseLoopback: () => raiseLoopback(),
    warn: (text) => process.stderr.write(`kata-agent: ${text}\n`),
    onExit: (end) => {
      process.on('exit', end);
      // Replaced once there is something to end in order.
      onStopSignal(() => process.exit(0));
      // Without a handler Node opens its debugger on SIGUSR1, for anyone on the loopback interface.
      process.on('SIGUSR1', () => undefined);
    },
  };
}
