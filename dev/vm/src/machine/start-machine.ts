// Starts a virtual machine under QEMU.
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { architecture } from '@kata-agent/setup/architecture';
import { spawnWithParentDeathSignal } from '@kata-agent/tool-command/parent-death-signal';
import { keyBytes, keyName } from '../inside/ports.js';
import {
  type Accelerator,
  chooseAccelerator,
  type Host,
  thisHost,
  type RequestedAccelerator,
} from './accelerator.js';
import { forwardOptions, reachOptions, watchDescriptor } from './run.js';
import { defaultLimits, type Limits } from './limits.js';
import { Machine, type StartedGuest } from './machine.js';
import { startTpm, type Tpm, virtiofsdCommand } from './device-backends.js';

/** The settings of a guest. */
export interface GuestSettings {
  /** Path of the kernel. */
  readonly kernel: string;
  /** Path of the initramfs. */
  readonly initrd: string;
  /** In MB. */
  readonly memory?: number;
  /** Words to append to the kernel command line. */
  readonly append?: readonly string[];
  /** TCP ports of the guest to forward ports of this machine to. */
  readonly forward?: readonly number[];
  /** TCP ports of this machine that the guest reaches at `hostAddress`. */
  readonly reach?: readonly number[];
  /** Paths of raw disk images, in the order of PCI slots 0x10, 0x11, … */
  readonly disks?: readonly string[];
  /** The key of connections to the relay; absent: a new one. A machine that continues from a saved state has that state's key. */
  readonly key?: string;
  /** A directory to share by virtio-fs. */
  readonly share?: string | undefined;
  /** The directory that a TPM stores its keys in; absent: no TPM. */
  readonly tpm?: string;
  /** More arguments for QEMU, such as hotpluggable memory. */
  readonly args?: readonly string[];
}

/** The settings of a boot. */
export interface BootSettings extends GuestSettings {
  /** The accelerator; absent: KATA_VM_ACCEL, or `auto`. */
  readonly accel?: RequestedAccelerator;
  readonly host?: Host;
  /** Matches the console line that shows that the guest is ready. */
  readonly ready?: RegExp;
  /** Override the default limits, in seconds. */
  readonly limits?: Partial<Limits>;
  /** Prints a progress message. */
  readonly printProgress?: (text: string) => void;
  /** A file to copy the console to. */
  readonly console?: string;
}

const { command: program, machine, console: serialPort, processor, words } = architecture.qemu;

/** The virtio-fs tag of the shared directory; Kata's runtimes use the same. */
const shareTag = 'kataShared';

/** The PCI slot of the first disk. Kata's runtimes identify a disk by its PCI path. */
const firstDiskSlot = 0x10;

/** Boots a machine. Resolves when QEMU responds, before the guest is ready; rejects if QEMU does not come up. */
export async function startMachine({
  accel,
  host = thisHost,
  ready = /"msg":"listening"/,
  limits = {},
  printProgress = (text) => console.error(`• ${text}`),
  console: copy,
  ...guest
}: BootSettings): Promise<Machine> {
  const choice = chooseAccelerator(accel, host);
  // Opened first, so that a path that cannot be written fails before QEMU starts.
  const log = copy === undefined ? undefined : createWriteStream(copy, { fd: openSync(copy, 'w') });
  const started = new Machine({
    choice,
    host,
    ready,
    limits: { ...defaultLimits, ...limits },
    printProgress,
    log,
    start: (accelerator) => startQemu(accelerator, guest),
  });
  await started.begin();
  return started;
}

/** Returns the default `lockdown=` unless `append` has one: of several the kernel applies the strictest. */
function lockdown(append: readonly string[]): readonly string[] {
  return append.some((words) => /(^| )lockdown=/.test(words)) ? [] : ['lockdown=integrity'];
}

/** Starts QEMU and its helper processes. */
async function startQemu(
  accel: Accelerator,
  {
    kernel,
    initrd,
    memory = 512,
    append = [],
    forward = [],
    reach = [],
    disks = [],
    key = newKey(),
    share,
    tpm: tpmState,
    args = [],
  }: GuestSettings,
): Promise<StartedGuest> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-vm-'));
  const tpm = tpmState === undefined ? undefined : await startTpmOrRemove(directory, tpmState);
  const sharing = share === undefined ? undefined : startSharing(directory, share);
  const socket = join(directory, 'qmp.sock');
  const qemu = spawnWithParentDeathSignal(
    program,
    [
      ['-machine', machine, '-accel', accel, '-cpu', processor[accel], '-smp', '2', '-m', String(memory)],
      ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio'],
      ['-qmp', `unix:${socket},server=on,wait=off`],
      ['-chardev', `socket,id=watch,fd=${watchDescriptor}`, '-mon', 'chardev=watch,mode=control'],
      ['-kernel', kernel, '-initrd', initrd],
      [
        '-append',
        [`console=${serialPort}`, 'panic=-1', 'quiet', ...lockdown(append), ...words, ...append].join(' '),
      ],
      [
        '-netdev',
        ['user', 'id=net', 'restrict=on', ...forwardOptions(forward), ...reachOptions(reach)].join(','),
      ],
      ['-device', 'virtio-net-pci,netdev=net,romfile='],
      forward.length > 0 ? keyArguments(directory, key) : [],
      disks.flatMap((file, index) => [
        '-drive',
        `file=${escapeCommas(file)},if=none,id=disk${index},format=raw`,
        '-device',
        `virtio-blk-pci,drive=disk${index},addr=0x${(firstDiskSlot + index).toString(16)}`,
      ]),
      sharing === undefined ? [] : sharingArguments(sharing.socket, memory),
      tpm?.args ?? [],
      args,
    ].flat(),
    // Node.js makes each pipe a pair of unix sockets, which the QMP chardev needs.
    { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] },
  );
  return { qemu, directory, helpers: [sharing?.process, tpm?.process], key, socket };
}

/** Returns a key for connections to the relay. */
export function newKey(): string {
  return randomBytes(keyBytes / 2).toString('hex');
}

/** Escapes the commas in a value of a QEMU option. */
function escapeCommas(text: string): string {
  return text.replaceAll(',', ',,');
}

/**
 * Passes the key to the guest in SMBIOS. Every user of this machine can connect to the forwarded ports, but
 * only the owner and root can read the key. It is passed in a file because every user can read QEMU's
 * arguments, and every container the kernel command line.
 */
function keyArguments(directory: string, key: string): readonly string[] {
  const file = join(directory, 'key');
  writeFileSync(file, `${keyName}${key}`, { mode: 0o600 });
  return ['-smbios', `type=11,path=${escapeCommas(file)}`];
}

/** Starts a TPM. On an error removes the directory. */
async function startTpmOrRemove(directory: string, state: string): Promise<Tpm> {
  try {
    return await startTpm(directory, state);
  } catch (error) {
    rmSync(directory, { recursive: true });
    throw error;
  }
}

/** Returns QEMU's arguments for virtio-fs. The guest's memory is shared because virtiofsd accesses it. */
function sharingArguments(socket: string, memory: number): readonly string[] {
  return [
    ['-object', `memory-backend-memfd,id=memory,size=${memory}M,share=on`, '-numa', 'node,memdev=memory'],
    ['-chardev', `socket,id=share,path=${socket}`],
    ['-device', `vhost-user-fs-pci,chardev=share,tag=${shareTag},queue-size=1024`],
  ].flat();
}

/** A virtiofsd process and its socket. */
interface Sharing {
  readonly process: ChildProcess;
  readonly socket: string;
}

function startSharing(directory: string, share: string): Sharing {
  const socket = join(directory, 'virtiofsd.sock');
  const { program: virtiofsd, args } = virtiofsdCommand(socket, share);
  const child = spawnWithParentDeathSignal(virtiofsd, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  child.once('error', (error) => console.error(`virtiofsd: ${error.message}`));
  return { process: child, socket };
}
