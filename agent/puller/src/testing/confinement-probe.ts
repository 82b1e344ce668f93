// A program in place of the one that unpacks: confined in the same way, it tries what a taken-over process would try.
import { spawnSync } from 'node:child_process';
import { openSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import { At, loadSyscalls } from '@kata-agent/linux';
import { agentSocket, confineAndExecute } from '../child/confine.js';
import type { ChildOptions } from '../child/options.js';
import { filterCalls } from '../child/serve.js';

const syscalls = loadSyscalls();

const attempts: Readonly<Record<string, () => string | number | Error | void>> = {
  'list the root': () => readdirSync('/').sort().join(' '),
  'read /etc/passwd': () => openSync('/etc/passwd', 'r'),
  'read /proc': () => openSync('/proc/self/status', 'r'),
  'write a library': () => openSync('/usr/lib/x', 'w'),
  'write the program': () => openSync(process.argv[1] ?? '', 'r+'),
  'write the root': () => writeFileSync('/x', 'x'),
  'write a blob': () => writeFileSync('/blobs/x', 'x'),
  'write the target': () => writeFileSync('/target/x', 'x'),
  'leave the target': () => openSync('/target/../../../../etc/passwd', 'r'),
  'make a device': () => syscalls.mknodat(At.Cwd, '/target/null', 0o020666, 259),
  'make a fifo': () => syscalls.mknodat(At.Cwd, '/target/fifo', 0o010666, 0),
  'open a socket': () => syscalls.socket(2, 1, 0),
  'open a Unix socket': () => syscalls.socket(1, 1, 0),
  'run a program': () => spawnSync('/usr/bin/true').error,
  'signal the agent': () => syscalls.kill(process.ppid, 0),
  'see other descriptors': () => openDescriptors(),
  'control the terminal': () => syscalls.setWindowSize(0, 1, 1),
};

/** Attempts that no correct program makes: each ends the process. */
const fatal: Readonly<Record<string, () => void>> = {
  execve: () => syscalls.execute('/usr/bin/true', ['true'], []),
  mount: () => syscalls.mount('none', '/target', 'tmpfs', 0, ''),
  umount2: () => syscalls.umount2('/target', 0),
  unshare: () => syscalls.unshare(['mnt']),
  setns: () => syscalls.setNamespace(0, 'mnt'),
  chroot: () => syscalls.chroot('/target'),
  pivot_root: () => syscalls.pivotRoot('/target', '/target'),
  open_tree: () => syscalls.openTree(At.Cwd, '/', 0),
  capset: () => syscalls.setCapabilities({ effective: [], permitted: [], inheritable: [] }),
  bpf: () => syscalls.loadDeviceFilter(new Uint8Array(8)),
  setuid: () => process.setuid?.(0),
  swapon: () => syscalls.swapon('/x'),
  reboot: () => syscalls.reboot(0),
};

function openDescriptors(): string {
  const found: number[] = [];
  for (let fd = 0; fd < 1024; fd++) {
    try {
      syscalls.close(syscalls.duplicate(fd));
      found.push(fd);
    } catch {
      // Not open.
    }
  }
  // Those of the event loop are anonymous; a file or socket of the agent is below them.
  return found.filter((fd) => fd <= agentSocket).join(' ');
}

function outcome(attempt: () => string | number | Error | void): string {
  try {
    const result = attempt();
    if (result instanceof Error) throw result;
    return `done ${result ?? ''}`.trim();
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

const [, entry = '', step, options = ''] = process.argv;
const send = (value: unknown): void => void writeSync(agentSocket, `${JSON.stringify(value)}\n`);
if (step === 'confine') {
  confineAndExecute(entry, JSON.parse(options) as ChildOptions);
} else {
  filterCalls(syscalls, { network: false });
  // The name of a fatal attempt is that of the only blob.
  const [name = ''] = readdirSync('/blobs');
  if (name in fatal) {
    send('ready');
    fatal[name]?.();
    send('survived');
  } else {
    send(Object.fromEntries(Object.entries(attempts).map(([what, attempt]) => [what, outcome(attempt)])));
  }
  process.exit();
}
