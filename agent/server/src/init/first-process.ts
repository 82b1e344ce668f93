import { mkdirSync, readFileSync, statfsSync, writeFileSync, writeSync } from 'node:fs';
import { hasCode, loadSyscalls, MountFlag, Reboot, SyscallError, type Syscalls } from '@kata-agent/linux';
import { mountGuest } from './guest-mounts.js';
import { startLoadingModules, wantedModules } from './modules.js';
import type { Complaint } from './run-tool.js';
import { onStopSignal } from '../stop-signals.js';

const stderr = 2;

/** File systems that the kernel unpacks an initramfs into (include/uapi/linux/magic.h). */
const initramfsTypes: ReadonlySet<number> = new Set([0x858458f6, 0x01021994]);
const newRoot = '/.root';
const setting = '/proc/sys/kernel/panic';

/** IFF_UP (include/uapi/linux/if.h). */
const up = 1;

/** HOST_NAME_MAX of the kernel. */
const maxLength = 64;

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

/**
 * Returns the hostname of the guest image, the first word of /etc/hostname; `localhost` if there is none that the
 * kernel accepts. Kata's agent does the same (Kata 4.1, src/agent/src/main.rs).
 */
export function imageHostname(file: string = '/etc/hostname'): string {
  const name = firstWord(file);
  return name === '' || Buffer.byteLength(name) > maxLength ? 'localhost' : name;
}

function firstWord(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim().split(/\s/)[0] ?? '';
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return '';
    throw error;
  }
}

/**
 * Sets `lo` up: containers of a pod use it, and no runtime configures it. Writes the kernel's flags file, since
 * starting a program would take longer than the rest of the guest's setup.
 */
export function raiseLoopback(flags = '/sys/class/net/lo/flags'): Complaint {
  try {
    writeFileSync(flags, `0x${(Number(readFileSync(flags, 'utf8')) | up).toString(16)}\n`);
    return undefined;
  } catch (error) {
    return `the loopback interface is down: ${(error as Error).message}`;
  }
}

/**
 * Sets a reboot one second after a panic, if the kernel command line does not: by default the kernel hangs forever. A
 * crash of Node itself (V8 out of memory, a fault in native code) ends PID 1 and is such a panic. Returns the error, or
 * undefined.
 */
export function endOnPanic(path: string = setting): string | undefined {
  try {
    if (readFileSync(path, 'utf8').trim() === '0') writeFileSync(path, '1\n');
    return undefined;
  } catch (error) {
    return `a crash of this program would hang the machine: ${(error as Error).message}`;
  }
}

function isInitramfs(): boolean {
  return initramfsTypes.has(statfsSync('/').type);
}

/**
 * Moves this process, and its children, to a root that is a mount of its own. An initramfs is the root of the mount
 * tree, which cannot be replaced: pivot_root(2), which the OCI runtime uses, fails there with EINVAL. A bind mount of
 * it, moved on top, is an ordinary root, and nothing is copied. Must precede any other mount.
 */
function leaveInitramfs(syscalls: Syscalls): void {
  mkdirSync(newRoot, { recursive: true });
  syscalls.mount('/', newRoot, '', MountFlag.Bind, '');
  process.chdir(newRoot);
  syscalls.mount('.', '/', '', MountFlag.Move, '');
  syscalls.chroot('.');
  process.chdir('/');
}

/**
 * Prints a last message on the console, drains it, syncs the disks, and powers the machine off. Returns only if the
 * kernel refuses.
 */
export function powerOff(syscalls: Syscalls, message: string): void {
  print(syscalls, `kata-agent: ${message}; the machine is powered off\n`);
  syscalls.sync();
  syscalls.reboot(Reboot.PowerOff);
}

/** An unwritable console, or one that is not a terminal, does not delay the power-off. */
function print(syscalls: Syscalls, text: string): void {
  try {
    writeSync(stderr, text);
    syscalls.drain(stderr);
  } catch (error) {
    if (!(error instanceof SyscallError) && (error as NodeJS.ErrnoException).code === undefined) throw error;
  }
}
