// A virtual machine under QEMU, from its start to its end.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createWriteStream, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { architecture } from '../image/architecture.mjs';
import { chosenPorts, forwardOptions } from './vm-forward.mjs';
import { keyBytes, keyName } from './vm-ports.mjs';
import { Qmp } from './vm-qmp.mjs';
import { spawnTied } from './vm-spawn.mjs';
import { startTpm } from './vm-tpm.mjs';

const { command: program, machine, console: serialPort, processor, words } = architecture.qemu;

/** Where Debian has it; it is in no PATH. */
const virtiofsd = '/usr/libexec/virtiofsd';

/** The name of the shared folder, as Kata's runtimes call it. */
const shareTag = 'kataShared';

/** The PCI slot of the first disk; the others follow. Kata's runtimes name a disk by such a path. */
const firstDiskSlot = 0x10;

/**
 * Boots. KVM is taken where it works, and emulation elsewhere.
 * `kernel`, `initrd`: files. `memory`: MB. `append`: words of the kernel's line. `forward`: TCP ports of the guest.
 * `disks`: files, in the order of PCI slots 0x10, 0x11, …; `share`: a folder for virtio-fs. `console`: a file for a copy.
 * `tpm`: a folder in which a TPM keeps its keys. `args`: more of QEMU's own, as for memory that can grow.
 */
export async function startMachine({
  kernel,
  initrd,
  memory = 512,
  append = [],
  forward = [],
  disks = [],
  share,
  tpm: tpmState,
  console: copy,
  args = [],
}) {
  // Before anything is started: it may be that no such file can be written.
  const log = copy === undefined ? undefined : createWriteStream(copy, { fd: openSync(copy, 'w') });
  const folder = mkdtempSync(join(tmpdir(), 'kata-vm-'));
  const key = randomBytes(keyBytes / 2).toString('hex');
  const tpm = tpmState === undefined ? undefined : await tpmOf(folder, tpmState);
  const sharing = share === undefined ? undefined : await startSharing(folder, share);
  const accel = accelerator();
  const qemu = spawnTied(
    program,
    [
      ['-machine', machine, '-accel', accel, '-cpu', processor[accel], '-smp', '2', '-m', String(memory)],
      ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio'],
      ['-qmp', `unix:${qmpSocket(folder)},server=on,wait=off`],
      ['-kernel', kernel, '-initrd', initrd],
      [
        '-append',
        [`console=${serialPort}`, 'panic=-1', 'quiet', 'lockdown=integrity', ...words, ...append].join(' '),
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
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const started = new Machine({ qemu, folder, helpers: [sharing?.process, tpm?.process], log, key });
  if (forward.length > 0) await started.learnPorts();
  return started;
}

/**
 * KVM where a machine comes up under it. On some it opens, and the first processor then fails: so one is made and ended.
 */
function accelerator() {
  const { status } = spawnSync(
    program,
    [
      '-machine',
      machine,
      '-accel',
      'kvm',
      '-cpu',
      'max',
      '-nodefaults',
      '-display',
      'none',
      '-S',
      '-monitor',
      'stdio',
    ],
    { input: 'quit\n', stdio: ['pipe', 'ignore', 'ignore'], timeout: 10_000 },
  );
  return status === 0 ? 'kvm' : 'tcg';
}

class Machine extends EventEmitter {
  /** The console's lines so far. */
  lines = [];
  #qemu;
  #folder;
  #key;
  #ports = new Map();
  /** It is off, and its console's last line is read. */
  #over = false;

  constructor({ qemu, folder, helpers, log, key }) {
    super();
    this.#qemu = qemu;
    this.#folder = folder;
    this.#key = key;
    for (const stream of [qemu.stdout, qemu.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        const text = plain(line);
        log?.write(`${text}\n`);
        this.lines.push(text);
        this.emit('line', text);
      });
    }
    /** QEMU's exit code, once the machine is off. */
    this.ended = once(qemu, 'close').then(([code]) => {
      for (const helper of helpers) helper?.kill();
      log?.end();
      rmSync(folder, { recursive: true, force: true });
      this.#over = true;
      this.emit('end');
      return code;
    });
  }

  /** Rejects with what QEMU said when it does not come up; the machine is off then. */
  async learnPorts() {
    const over = new AbortController();
    void this.ended.then(() => over.abort(new Error('it has ended')));
    try {
      this.#ports = await chosenPorts(qmpSocket(this.#folder), over.signal);
    } catch (error) {
      await this.kill();
      throw new Error(`QEMU did not come up: ${this.lines.join('\n')}`, { cause: error });
    }
  }

  /** The port of this machine that leads to one of the guest. */
  port(guest) {
    return this.#ports.get(guest);
  }

  /** The relay in the guest serves whoever begins with the key. */
  connect(guest) {
    const socket = connect({ host: '127.0.0.1', port: this.port(guest), allowHalfOpen: true });
    socket.write(this.#key);
    return socket;
  }

  /** The host's hands on the machine. QEMU serves one such connection at a time. */
  qmp() {
    return Qmp.open(qmpSocket(this.#folder));
  }

  /** Resolves with the first console line, past ones included, that has this in it; rejects when the machine ends. */
  line(pattern) {
    const found = this.lines.find((line) => pattern.test(line));
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const settle = () => {
        this.off('line', look);
        this.off('end', fail);
      };
      const look = (line) => {
        if (!pattern.test(line)) return;
        settle();
        resolve(line);
      };
      const fail = () => {
        settle();
        reject(
          new Error(
            `the machine ended before its console said ${pattern}:\n${this.lines.slice(-20).join('\n')}`,
          ),
        );
      };
      this.on('line', look);
      this.on('end', fail);
      if (this.#over) fail();
    });
  }

  /** Pulls the plug. */
  kill() {
    this.#qemu.kill('SIGKILL');
    return this.ended;
  }
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

function qmpSocket(folder) {
  return join(folder, 'qmp.sock');
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
  const child = spawnTied(
    virtiofsd,
    [
      '--socket-path',
      socket,
      '--shared-dir',
      share,
      '--sandbox',
      'none',
      '--cache',
      'auto',
      '--log-level',
      'warn',
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  child.once('error', (error) => console.error(`virtiofsd: ${error.message}`));
  return { process: child, socket };
}

/** A console's line without what the firmware sends to move the cursor. */
function plain(line) {
  return line.replace(/\u001b(\[[0-9;?]*[a-zA-Z]|c)/g, '').replace(/\r/g, '');
}
