// Preloaded by an agent with `--import`, where the kernel has no device mapper: a stand-in for the ioctls by which the agent
// makes dm-verity and dm-crypt devices. A dm-crypt device is a loop device that encrypts nothing. Of a dm-verity device it verifies the whole device with veritysetup when the device becomes active, and lets a loop
// device show its data; one that does not verify cannot be read (EIO). The kernel's own targets, of which dm-verity verifies each
// block when it is read, are tested in VMs (tests/vm/devices.test.ts, tests/vm/pull-to-disk.test.ts).
import { Buffer } from 'node:buffer';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { threadId } from 'node:worker_threads';
import { libcFunction, replaceLibc } from '@kata-agent/tool-command/replace-libc';

/** In a directory that is the agent's /dev (verityStandIn of layer-disks.ts). */
const log = process.env['VERITY_TABLES'];
/** `NODE=OTHER`: the node is replaced by the other one when the agent has checked its disk. */
const swap = process.env['VERITY_SWAP'];

const deviceMapper = 0xc138fd00;
const Command = { Create: 3, Remove: 4, Suspend: 6, LoadTable: 9 } as const;

/** A device, stored in a file so that the next agent finds it. */
interface Mapped {
  readonly minor: number;
  target: string;
  table: string;
  /** Bytes. */
  size: number;
  loop?: string;
}

const stateOf = (name: string): string => `/dev/stand-in-${name}`;

if (log !== undefined) {
  replaceLibc('ioctl', (real) => (...args) => {
    const [, request, argument] = args;
    const command = Number(request) - deviceMapper;
    if (!(argument instanceof Uint8Array) || command < 0 || command > 255) return real(...args);
    const block = Buffer.from(argument.buffer, argument.byteOffset, argument.length);
    const name = textAt(block, 48);
    if (command === Command.Create) {
      const minor = freeMinor();
      save(name, { minor, target: '', table: '', size: 0 });
      block.writeBigUInt64LE((253n << 8n) | BigInt(minor), 40);
    }
    if (!fs.existsSync(stateOf(name))) return 0;
    const device = JSON.parse(fs.readFileSync(stateOf(name), 'utf8')) as Mapped;
    if (command === Command.LoadTable) {
      device.target = textAt(block, 312 + 24);
      device.table = textAt(block, 312 + 40);
      device.size = Number(block.readBigUInt64LE(312 + 8)) * 512;
      save(name, device);
      fs.appendFileSync(log, `${device.target} ${device.table}\n`);
    }
    if (command === Command.Suspend) {
      if (device.target === 'crypt') showDisk(device, device.table.split(' ')[3] ?? '', []);
      else activate(device);
      save(name, device);
    }
    if (command === Command.Remove) {
      fs.rmSync(`/dev/dm-${device.minor}`, { force: true });
      if (device.loop !== undefined) run('losetup', '--detach', device.loop);
      fs.rmSync(stateOf(name));
    }
    return 0;
  });
}

/**
 * Runs a program and returns its output. By system(3), since this is a thread of the agent, whose main thread waits for each child that
 * Node.js has not started there; then system(3) returns without the exit code, which is read from a file.
 */
function run(...command: readonly string[]): string {
  const output = `/dev/output-${process.pid}-${threadId}`;
  const words = command.map((word) => `'${word}'`).join(' ');
  libcFunction('int system(const char *command)')(
    `${words} > ${output} 2>/dev/null; echo $? > ${output}.code`,
  );
  const [text, code] = [output, `${output}.code`].map((file) => {
    const content = fs.readFileSync(file, 'utf8');
    fs.rmSync(file);
    return content;
  });
  if (code !== '0\n') throw new Error(`${words} ended with ${code}`);
  return text ?? '';
}

function freeMinor(): number {
  const taken = fs
    .readdirSync('/dev')
    .filter((each) => each.startsWith('stand-in-'))
    .map((each) => (JSON.parse(fs.readFileSync(`/dev/${each}`, 'utf8')) as Mapped).minor);
  return Math.max(-1, ...taken) + 1;
}

function save(name: string, device: Mapped): void {
  fs.writeFileSync(stateOf(name), JSON.stringify(device));
}

/** Makes the node of a device a loop device that shows the beginning of a disk. */
function showDisk(device: Mapped, number: string, options: readonly string[]): void {
  const below = `/dev/below-${device.minor}`;
  run('mknod', below, 'b', ...number.split(':'));
  const show = ['--find', '--show', ...options, `--sizelimit=${device.size}`, below];
  device.loop = run('losetup', ...show).trim();
  fs.rmSync(below);
  run('cp', '-a', device.loop, `/dev/dm-${device.minor}`);
}

function activate(device: Mapped): void {
  const [format, data, , , , blocks, firstHashBlock, algorithm, rootHash, salt = '-'] =
    device.table.split(' ');
  const node = `/dev/dm-${device.minor}`;
  const disk = `/dev/below-${device.minor}`;
  run('mknod', disk, 'b', ...(data ?? '').split(':'));
  try {
    run(
      'veritysetup',
      'verify',
      '--no-superblock',
      `--format=${format}`,
      `--data-blocks=${blocks}`,
      `--hash=${algorithm}`,
      `--salt=${salt}`,
      `--hash-offset=${Number(firstHashBlock) * 4096}`,
      disk,
      disk,
      rootHash ?? '',
    );
  } catch {
    // Reading there fails with EIO: no page is mapped at address 0.
    fs.symlinkSync('/proc/self/mem', node);
    return;
  } finally {
    fs.rmSync(disk);
  }
  showDisk(device, data ?? '', ['--read-only']);
}

function textAt(block: Buffer, offset: number): string {
  return block.toString('utf8', offset, block.indexOf(0, offset));
}

if (swap !== undefined) {
  const [node = '', other = ''] = swap.split('=');
  const real = fs.openSync;
  fs.openSync = (...args: Parameters<typeof real>) => {
    const opened = real(...args);
    const [, flags] = args;
    const { O_CREAT, O_EXCL } = fs.constants;
    const isClaim = typeof flags === 'number' && (flags & (O_CREAT | O_EXCL)) === O_EXCL;
    // Threads open disks, each with this code: the first claim of all replaces the node.
    if (isClaim && fs.existsSync(other)) fs.renameSync(other, node);
    return opened;
  };
  syncBuiltinESMExports();
}
