import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentService } from '@kata-agent/protocol/agent';
import { buildVmImage, firstProgram } from '@kata-agent/tool-vm/image';
import { agentPort, shellPort } from '@kata-agent/tool-vm/inside/ports';
import type { Machine } from '@kata-agent/tool-vm/machine/machine';
import { startMachine } from '@kata-agent/tool-vm/machine/start-machine';
import { type Client, connect, createClient } from '@kata-agent/ttrpc';
import { makeRootfs } from './container.js';
import { root } from './go-programs.js';
import { median } from './median.js';
import type { Row } from './row.js';

const runtimes = ['runc', 'crun'] as const;
type Runtime = (typeof runtimes)[number];

/** The steps of the report. */
const steps = [
  ['start', 'create and start of a container'],
  ['exec', 'exec in a container'],
  ['remove', 'removal of a container'],
] as const;

/** Milliseconds of each step, by its name. */
type Times = Readonly<Record<(typeof steps)[number][0], number[]>>;

/** A booted guest with one of the runtimes. */
interface Guest {
  readonly machine: Machine;
  readonly agent: Client<typeof AgentService>;
  /** In bytes. */
  readonly initramfs: number;
  /** In bytes, before the first container. */
  readonly available: number;
  readonly times: Times;
}

/** The mount point of the containers' root, which is the machine's first disk. */
const rootMount = '/run/kata-containers/sandbox/storage/root';

/**
 * Measures create and start of a container, an exec and the removal in a guest with cgroup v2, with crun beside runc, and
 * the size and the available memory of both guests. Both run during all of it, and the rounds alternate.
 */
export async function measureGuestContainers(quick: boolean): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-'));
  const machines: Machine[] = [];
  try {
    const disk = rootDisk(directory);
    const guests = new Map<Runtime, Guest>();
    for (const runtime of runtimes) {
      const guest = await bootGuest(runtime, join(directory, runtime), disk, quick);
      machines.push(guest.machine);
      guests.set(runtime, guest);
    }
    for (let round = 0; round <= (quick ? 2 : 10); round += 1)
      for (const guest of guests.values()) await measureRound(guest, round);
    return rowsOf(guests);
  } finally {
    for (const machine of machines) await machine.kill();
    rmSync(directory, { recursive: true });
  }
}

function rowsOf(guests: ReadonlyMap<Runtime, Guest>): Row[] {
  const compared = (what: string, unit: string, figure: (guest: Guest) => number): Row => {
    const [runc, crun] = runtimes.map((name) => {
      const guest = guests.get(name);
      if (guest === undefined) throw new Error(`no guest with ${name}`);
      return figure(guest);
    });
    return {
      what: `${what}, crun`,
      unit,
      ours: crun ?? Number.NaN,
      against: { name: 'runc', value: runc ?? Number.NaN },
    };
  };
  return [
    ...steps.map(([step, what]) => compared(`${what} in a guest`, 'ms', ({ times }) => median(times[step]))),
    compared('initramfs', 'MB', ({ initramfs }) => initramfs / 1e6),
    compared('available memory of the guest', 'MiB', ({ available }) => available / 2 ** 20),
  ];
}

/** Creates a disk with the containers' root file system. */
function rootDisk(directory: string): string {
  const disk = join(directory, 'root.img');
  writeFileSync(disk, '');
  truncateSync(disk, 16 * 2 ** 20);
  const { status, stderr, error } = spawnSync('mkfs.ext4', ['-q', '-F', '-d', makeRootfs(directory), disk]);
  if (status !== 0) throw new Error(`mkfs.ext4: ${String(error ?? stderr)}`);
  return disk;
}

async function bootGuest(runtime: Runtime, directory: string, disk: string, quick: boolean): Promise<Guest> {
  mkdirSync(directory);
  const image = await buildVmImage({
    config: join(root, 'examples', 'open.toml'),
    out: directory,
    with: runtime === 'crun' ? ['crun'] : [],
    ...(quick ? { level: 1 } : {}),
    printProgress: (text: string) => console.error(`  ${text}`),
  });
  const machine = await startMachine({
    kernel: image.kernel.path,
    initrd: image.initrd.path,
    // Read-only for both guests.
    args: ['-snapshot', '-smp', '1'],
    disks: [disk],
    append: [`rdinit=${firstProgram}`],
    forward: [agentPort, shellPort],
  });
  await machine.line(/"msg":"listening"/);
  const memory = await ask(machine, 'grep MemAvailable /proc/meminfo');
  const socket = machine.connect(agentPort);
  await once(socket, 'connect');
  const agent = createClient(AgentService, connect(socket));
  const storage = { driver: 'blk', source: '10', fstype: 'ext4', mountPoint: rootMount };
  await agent.createSandbox({ sandboxId: 'pod', storages: [storage] });
  return {
    machine,
    agent,
    initramfs: statSync(image.initrd.path).size,
    available: Number(/(\d+) kB/.exec(memory)?.[1]) * 1024,
    times: { start: [], exec: [], remove: [] },
  };
}

/** Returns what a command prints in the guest's shell. The relay starts beside the agent, and may be later. */
async function ask(machine: Machine, line: string): Promise<string> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    const socket = machine.connect(shellPort);
    const chunks: Buffer[] = [];
    try {
      socket.end(`${line}\n`);
      for await (const chunk of socket) chunks.push(chunk as Buffer);
    } catch (error) {
      if (attempt === 299) throw error;
    }
    if (chunks.length > 0) return Buffer.concat(chunks).toString();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the relay does not answer');
}

/** The first round warms up and is not counted. */
async function measureRound({ agent, times }: Guest, round: number): Promise<void> {
  const containerId = `c${String(round)}`;
  const process = processOf(['/bin/busybox', 'sleep', '1000']);
  const timed = async (step: keyof Times, work: () => Promise<unknown>): Promise<void> => {
    const began = performance.now();
    await work();
    if (round > 0) times[step].push(performance.now() - began);
  };
  await timed('start', async () => {
    await agent.createContainer(containerRequest(containerId, process));
    await agent.startContainer({ containerId });
  });
  await timed('exec', () =>
    agent.execProcess({ containerId, execId: 'e', process: processOf(['/bin/busybox', 'true']) }),
  );
  await agent.waitProcess({ containerId, execId: 'e' });
  await timed('remove', () => agent.removeContainer({ containerId }));
}

function processOf(args: readonly string[]) {
  return { User: { UID: 0, GID: 0 }, Args: [...args], Env: ['PATH=/bin'], Cwd: '/', NoNewPrivileges: true };
}

function containerRequest(id: string, process: ReturnType<typeof processOf>) {
  return {
    containerId: id,
    execId: id,
    OCI: {
      Version: '1.0.2',
      Process: process,
      Root: { Path: rootMount, Readonly: false },
      Mounts: [
        { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
        { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=64k'] },
      ],
      Linux: {
        CgroupsPath: `/bench/${id}`,
        Namespaces: [{ Type: 'pid' }, { Type: 'ipc' }, { Type: 'uts' }, { Type: 'mount' }],
      },
    },
  };
}
