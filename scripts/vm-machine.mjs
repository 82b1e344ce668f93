// Starts a virtual machine under QEMU.
import { randomBytes } from 'node:crypto';
import { createWriteStream, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { architecture } from '../image/architecture.mjs';
import { chooseAccelerator, thisHost } from './vm-accelerator.mjs';
import { forwardOptions } from './vm-forward.mjs';
import { Machine } from './vm-guest.mjs';
import { defaultLimits } from './vm-limits.mjs';
import { keyBytes, keyName } from './vm-ports.mjs';
import { watchDescriptor } from './vm-run.mjs';
import { spawnTied } from './vm-spawn.mjs';
import { startTpm } from './vm-tpm.mjs';
import { virtiofsdCommand } from './virtiofsd.mjs';

const { command: program, machine, console: serialPort, processor, words } = architecture.qemu;

/** The name of the shared folder, as Kata's runtimes call it. */
const shareTag = 'kataShared';

/** The PCI slot of the first disk; the others follow. Kata's runtimes name a disk by such a path. */
const firstDiskSlot = 0x10;

/**
 * Boots. KVM is taken where it works, and emulation elsewhere (vm-accelerator.mjs); `accel` decides otherwise.
 * `ready`: what the console says when the guest is up. `limits`: for how long what is waited for, instead of the usual
 * (vm-limits.mjs). `say`: takes a line for people. `console`: a file for a copy. The rest is the guest's, as for `startQemu`.
 */
export async function startMachine({
  accel,
  host = thisHost,
  ready = /"msg":"listening"/,
  limits = {},
  say = (text) => console.error(`• ${text}`),
  console: copy,
  ...guest
}) {
  const choice = chooseAccelerator(accel, host);
  // Before anything is started: it may be that no such file can be written.
  const log = copy === undefined ? undefined : createWriteStream(copy, { fd: openSync(copy, 'w') });
  const started = new Machine({
    choice,
    host,
    ready,
    limits: { ...defaultLimits, ...limits },
    say,
    log,
    start: (accelerator) => startQemu(accelerator, guest),
  });
  await started.begin();
  return started;
}

/** The kernel goes by the strictest that its line asks for, so `lockdown=none` has to stand in the place of ours. */
function lockdown(append) {
  return append.some((words) => /(^| )lockdown=/.test(words)) ? [] : ['lockdown=integrity'];
}

/**
 * Starts QEMU, and what it needs beside it.
 * `kernel`, `initrd`: files. `memory`: MB. `append`: words of the kernel's line. `forward`: TCP ports of the guest.
 * `disks`: files, in the order of PCI slots 0x10, 0x11, …; `share`: a folder for virtio-fs. `tpm`: a folder in which a TPM
 * keeps its keys. `args`: more of QEMU's own, as for memory that can grow.
 */
async function startQemu(
  accel,
  { kernel, initrd, memory = 512, append = [], forward = [], disks = [], share, tpm: tpmState, args = [] },
) {
  const folder = mkdtempSync(join(tmpdir(), 'kata-vm-'));
  const key = randomBytes(keyBytes / 2).toString('hex');
  const tpm = tpmState === undefined ? undefined : await tpmOf(folder, tpmState);
  const sharing = share === undefined ? undefined : await startSharing(folder, share);
  const socket = join(folder, 'qmp.sock');
  const qemu = spawnTied(
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
      ['-netdev', ['user', 'id=net', 'restrict=on', ...forwardOptions(forward)].join(',')],
      ['-device', 'virtio-net-pci,netdev=net,romfile='],
      forward.length > 0 ? keyArguments(folder, key) : [],
      disks.flatMap((file, index) => [
        '-drive',
        `file=${quoted(file)},if=none,id=disk${index},format=raw`,
        '-device',
        `virtio-blk-pci,drive=disk${index},addr=0x${(firstDiskSlot + index).toString(16)}`,
      ]),
      sharing === undefined ? [] : sharingArguments(sharing.socket, memory),
      tpm?.args ?? [],
      args,
    ].flat(),
    // A pipe of Node's is a pair of unix sockets.
    { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] },
  );
  return { qemu, folder, helpers: [sharing?.process, tpm?.process], key, socket };
}

/** A value in a list of QEMU's, which ends at a comma. */
function quoted(text) {
  return text.replaceAll(',', ',,');
}

/**
 * Every user of this machine can connect to the forwarded ports; this key only its owner and root can read. To the guest it goes
 * in SMBIOS, by a file: QEMU's arguments are everybody's to read, and the kernel's line is every container's.
 */
function keyArguments(folder, key) {
  const file = join(folder, 'key');
  writeFileSync(file, `${keyName}${key}`, { mode: 0o600 });
  return ['-smbios', `type=11,path=${quoted(file)}`];
}

async function tpmOf(folder, state) {
  try {
    return await startTpm(folder, state);
  } catch (error) {
    rmSync(folder, { recursive: true });
    throw error;
  }
}

/** virtiofsd reads and writes the guest's memory, so it is shared. */
function sharingArguments(socket, memory) {
  return [
    ['-object', `memory-backend-memfd,id=memory,size=${memory}M,share=on`, '-numa', 'node,memdev=memory'],
    ['-chardev', `socket,id=share,path=${socket}`],
    ['-device', `vhost-user-fs-pci,chardev=share,tag=${shareTag},queue-size=1024`],
  ].flat();
}

async function startSharing(folder, share) {
  const socket = join(folder, 'virtiofsd.sock');
  const { program: virtiofsd, args } = virtiofsdCommand(socket, share);
  const child = spawnTied(virtiofsd, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  child.once('error', (error) => console.error(`virtiofsd: ${error.message}`));
  return { process: child, socket };
}
