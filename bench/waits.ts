import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import type { MessageInitShape } from '@bufbuild/protobuf';
import { AgentService, type StorageSchema } from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import { type Client, connect, createClient } from '@kata-agent/ttrpc';

import { configurationText } from './agent-program.js';
import { tracked } from './children.js';
import { makeRootfs } from './container.js';
import { agentCommand } from './node-command.js';
import type { Row } from './row.js';

/** The limits of S36. */
const goal = { max: 50 };

interface Bench {
  readonly agent: Client<typeof AgentService>;
  readonly health: Client<typeof Health>;
  readonly files: number;
  readonly megabytes: number;
}

/** A measured operation: its setup returns the function to wait for. */
interface Case {
  readonly what: string;
  readonly prepare: (bench: Bench) => Promise<() => Promise<unknown>>;
}

const kata = '/run/kata-containers';
const shared = `${kata}/shared/containers`;

/**
 * Measures how long other calls wait while a container makes the agent work: the longest turn of the agent's event loop
 * in CPU time, during which no other call is answered, and the longest wait of a client for Health.Check, which
 * includes waits for the CPU: `quiet` is their baseline. Needs root, runc, busybox and mounts.
 */
export async function measureWaits(program: string, quick: boolean): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-'));
  // A tmpfs, since creating this number of files on a disk takes minutes.
  const volume = mkdtempSync('/dev/shm/kata-bench-');
  for (let index = 0; index < (quick ? 20_000 : 200_000); index += 1)
    writeFileSync(join(volume, String(index)), '');
  const agent = await startAgent(program, directory, volume);
  try {
    const socket = await connectTo(join(directory, 'agent.sock'));
    const other = await connectTo(join(directory, 'agent.sock'));
    const bench = {
      agent: createClient(AgentService, connect(socket)),
      health: createClient(Health, connect(other)),
      files: quick ? 20_000 : 150_000,
      megabytes: quick ? 256 : 2_048,
    };
    const rows: Row[] = [];
    for (const { what, prepare } of cases) {
      const work = await prepare(bench);
      await longestTurn(agent, directory);
      const call = await longestWait(bench.health, work());
      // The agent ends with the sandbox.
      const turn = await longestTurn(agent, directory);
      if (turn !== undefined)
        rows.push({ what: `${what}: longest turn of the agent (CPU)`, unit: 'ms', ours: turn, goal });
      rows.push({ what: `${what}: longest wait for Health.Check`, unit: 'ms', ours: call });
    }
    socket.destroy();
    other.destroy();
    return rows;
  } finally {
    const exited = agent.exitCode === null ? once(agent, 'exit') : undefined;
    agent.kill('SIGTERM');
    await exited;
    for (const each of [directory, volume]) rmSync(each, { recursive: true });
  }
}

const cases: readonly Case[] = [
  { what: 'quiet', prepare: async () => () => delay(5_000) },
  {
    what: 'removal of 150,000 files',
    prepare: async (bench) => {
      const make = `i=0; mkdir /f; while [ $i -lt ${bench.files} ]; do : > /f/$i; i=$((i+1)); done`;
      await run(bench, 'files', make);
      return () => bench.agent.removeContainer({ containerId: 'files' });
    },
  },
  {
    what: 'removal of a tree of 5,000 levels',
    prepare: async (bench) => {
      await run(bench, 'deep', 'i=0; while [ $i -lt 5000 ]; do mkdir d; cd d; i=$((i+1)); done');
      return () => bench.agent.removeContainer({ containerId: 'deep' });
    },
  },
  {
    what: 'fsGroup on 200,000 files',
    prepare: async ({ agent }) => {
      const fsGroup = { groupId: 4321, groupChangePolicy: 0 };
      const [source, mountPoint] = [`${shared}/volume`, `${kata}/sandbox/storage/volume`];
      const storage = { driver: 'bind', source, fstype: 'bind', options: ['rbind'], mountPoint, fsGroup };
      return async () => {
        await agent.createContainer({ ...container('group', 'exit 0'), storages: [storage] });
        await agent.removeContainer({ containerId: 'group' });
      };
    },
  },
  {
    what: 'an exec that hangs',
    prepare: async (bench) => {
      await run(bench, 'hangs', 'rm -f /etc/passwd; mkfifo /etc/passwd', 'sleep 1000');
      const { agent } = bench;
      const process = container('hangs', 'true').OCI.Process;
      return async () => {
        const request = { containerId: 'hangs', execId: 'e', process };
        await agent.execProcess(request).catch((error: unknown) => console.error(`  ${String(error)}`));
        await agent.removeContainer({ containerId: 'hangs' });
      };
    },
  },
  {
    what: 'a container that fills its disk',
    prepare: async (bench) => async () => {
      await run(bench, 'fills', `dd if=/dev/zero of=/big bs=1M count=${bench.megabytes}`);
    },
  },
  {
    what: 'removal of its full disk',
    prepare: async (bench) => () => bench.agent.removeContainer({ containerId: 'fills' }),
  },
  {
    what: 'end of a pod whose memory was filled',
    prepare: async (bench) => {
      const mountPoint = `${kata}/sandbox/ephemeral/m`;
      const request = container('memory', `dd if=/dev/zero of=/memory/big bs=1M count=${bench.megabytes}`);
      request.storages.push({ driver: 'ephemeral', source: 'tmpfs', fstype: 'tmpfs', mountPoint });
      request.OCI.Mounts.push({
        destination: '/memory',
        type: 'bind',
        source: mountPoint,
        options: ['rbind'],
      });
      await bench.agent.createContainer(request);
      await bench.agent.startContainer({ containerId: 'memory' });
      await bench.agent.waitProcess({ containerId: 'memory' });
      await bench.agent.removeContainer({ containerId: 'memory' });
      return () => bench.agent.destroySandbox({});
    },
  },
];

/** Runs a script in a container until it has ended, or, with `then`, until it executes that. */
async function run({ agent }: Bench, id: string, script: string, then?: string): Promise<void> {
  const rest = then === undefined ? '' : `; echo ready; exec ${then}`;
  await agent.createContainer(container(id, `${script}${rest}`));
  await agent.startContainer({ containerId: id });
  if (then === undefined) await agent.waitProcess({ containerId: id });
  else await agent.readStdout({ containerId: id, len: 100 });
}

type StorageRequest = MessageInitShape<typeof StorageSchema>;

function container(id: string, script: string) {
  const capabilities = ['CAP_DAC_OVERRIDE', 'CAP_MKNOD'];
  const mounts: { destination: string; type: string; source: string; options: string[] }[] = [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=64k'] },
  ];
  const storages: StorageRequest[] = [];
  return {
    containerId: id,
    execId: id,
    storages,
    OCI: {
      Version: '1.0.2',
      Process: {
        User: { UID: 0, GID: 0 },
        Args: ['/bin/busybox', 'sh', '-c', script],
        Env: ['PATH=/bin'],
        Cwd: '/',
        Capabilities: { Bounding: capabilities, Effective: capabilities, Permitted: capabilities },
        NoNewPrivileges: true,
      },
      Root: { Path: '/run/rootfs', Readonly: false },
      Mounts: mounts,
      Linux: {
        CgroupsPath: `/kata-bench-${process.pid}/${id}`,
        Namespaces: [{ Type: 'pid' }, { Type: 'ipc' }, { Type: 'uts' }, { Type: 'mount' }],
      },
    },
  };
}

/** In a separate mount namespace: /run is a tmpfs, with the root file system and a volume. */
async function startAgent(program: string, directory: string, volume: string): Promise<ChildProcess> {
  const rootfs = makeRootfs(directory);
  for (const name of ['etc', 'tmp']) mkdirSync(join(rootfs, name), { recursive: true });
  for (const name of ['dd', 'mkdir', 'mkfifo', 'rm', 'true'])
    spawnSync('ln', ['-s', 'busybox', join(rootfs, 'bin', name)]);
  const script = [
    'mount -t tmpfs -o size=4g tmpfs /run',
    `mkdir -p /run/rootfs ${shared}/volume`,
    `mount --bind ${rootfs} /run/rootfs`,
    `mount --bind ${volume} ${shared}/volume`,
    'exec "$@"',
  ].join(' && ');
  const address = join(directory, 'agent.sock');
  const probe = fileURLToPath(new URL('turn-probe.js', import.meta.url));
  const file = join(directory, 'config.toml');
  const own = ['-c', file, '--server-addr', `unix://${address}`];
  const command = [...agentCommand(program, ['--import', probe]), ...own];
  const configuration = configurationText(directory)
    .replace('"@stdio"', '"@stdio", "ExecProcess"')
    .replace('guest_paths = [', 'guest_paths = ["/run/rootfs", ');
  writeFileSync(file, configuration, { mode: 0o600 });
  const agent = tracked(
    spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', ...command], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, TURN_PROBE: join(directory, 'turn') },
    }),
  );
  while (!existsSync(join(directory, 'agent.sock'))) {
    if (agent.exitCode !== null || agent.signalCode !== null)
      throw new Error('the agent ended before it listened');
    await delay(5);
  }
  return agent;
}

/** In milliseconds, since the last call; undefined if the agent has ended. */
async function longestTurn(agent: ChildProcess, directory: string): Promise<number | undefined> {
  const file = join(directory, 'turn');
  rmSync(file, { force: true });
  agent.kill('SIGUSR2');
  for (;;) {
    const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
    if (text !== '') return Number(text);
    if (agent.exitCode !== null || agent.signalCode !== null) return undefined;
    await delay(5);
  }
}

/** The agent's socket exists a moment before it listens. */
async function connectTo(address: string): Promise<Socket> {
  for (;;) {
    const socket = connectSocket(address);
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    if (connected) return socket;
    await delay(5);
  }
}

/** Calls Health.Check repeatedly until the work has ended. */
async function longestWait(health: Client<typeof Health>, work: Promise<unknown>): Promise<number> {
  const over = new AbortController();
  let longest = 0;
  const done = work.finally(() => over.abort());
  while (!over.signal.aborted) {
    const begin = performance.now();
    // The agent ends with the sandbox.
    await health.check({}).catch(() => over.abort());
    longest = Math.max(longest, performance.now() - begin);
    await delay(1);
  }
  await done;
  return longest;
}
