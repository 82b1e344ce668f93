import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { createAuthority } from './certificates.js';
import { type Connection, overUnix } from './connections.js';
import { makeRootfs } from './container.js';
import { type ListeningAgent, withAgent } from './listening-agent.js';
import { processorSeconds } from './processes.js';
import type { Row } from './row.js';

const port = 8443;
const node = '/bin/node';

/** Calls of the host that are measured in each case. */
const calls = 200;

/** What the container does; undefined: there is none. */
interface Case {
  readonly what: string;
  readonly args: readonly string[] | undefined;
}

/**
 * Measures how long the host's calls on the unix socket of an agent take while a container of it floods the `tls://` listener,
 * which has its default limits. As in a pod, the container has the network of the guest: a network namespace of the agent and its
 * containers. All cases use one agent, in turn. A container that is only busy is the comparison: a flood uses the processors, too.
 * Needs root, runc and busybox.
 */
export async function measureContainerFlood(program: string, quick: boolean): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-'));
  try {
    const rootfs = rootfsWithNode(directory);
    const authority = createAuthority();
    const stranger = createAuthority().client('stranger');
    writeFileSync(join(rootfs, 'stranger.json'), JSON.stringify(stranger));
    const listener = `[[listener]]
name = "tenant"
address = "tls://127.0.0.1:${port}"
peers = ["*"]
tls = { client_ca = ${JSON.stringify(authority.pem)} }
`;
    // The requests have no masked paths.
    const more = `[agent]\nprivileged_containers = "allow"\nguest_paths = [${JSON.stringify(directory)}]\n`;
    // The agent makes its files in /run.
    const script = 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"';
    const within = ['unshare', '--mount', '--net', '--propagation', 'private', 'sh', '-c', script, 'sh'];
    const endpoints = ['@pod', '@stdio'];
    return await withAgent(
      { program, directory: join(directory, 'agent'), listener, probe: true, endpoints, more, within },
      async (agent) => {
        const connection = await overUnix(agent.socket);
        const rows: Row[] = [];
        for (const [index, each] of cases.entries())
          rows.push(...(await measure(agent, connection, each, { id: `c${index}`, rootfs, quick })));
        connection.close();
        return rows;
      },
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const flood = (kind: string): readonly string[] => [
  node,
  '/flooder.mjs',
  kind,
  '127.0.0.1',
  String(port),
  '/stranger.json',
];

const cases: readonly Case[] = [
  { what: 'quiet', args: undefined },
  { what: 'a busy container', args: ['/bin/busybox', 'sh', '-c', 'while :; do :; done'] },
  { what: 'handshakes with a certificate of another CA', args: flood('handshakes') },
  { what: 'half-open connections', args: flood('half-open-each-second') },
  { what: '1,000 half-open connections that are held', args: flood('half-open') },
  { what: 'quiet again', args: undefined },
];

async function measure(
  agent: ListeningAgent,
  connection: Connection,
  { what, args }: Case,
  { id, rootfs, quick }: { readonly id: string; readonly rootfs: string; readonly quick: boolean },
): Promise<Row[]> {
  if (args !== undefined) {
    await connection.agent.createContainer(container(id, rootfs, args));
    await connection.agent.startContainer({ containerId: id });
  }
  await delay(1_500);
  await agent.longestTurn();
  const before = { time: performance.now(), ...stateOf(agent.pid) };
  const times = await hostCalls(connection, quick ? 10 : 50);
  const seconds = (performance.now() - before.time) / 1_000;
  const { accepted, processor, waited } = stateOf(agent.pid);
  const turn = await agent.longestTurn();
  if (args !== undefined) {
    await connection.agent.signalProcess({ containerId: id, execId: id, signal: 9 });
    await connection.agent.waitProcess({ containerId: id });
    await connection.agent.removeContainer({ containerId: id });
  }
  const at = (part: number): number => times[Math.ceil(times.length * part) - 1] ?? Number.NaN;
  const row = (name: string, unit: string, ours: number): Row => ({ what: `${what}: ${name}`, unit, ours });
  return [
    row('connections accepted', '/s', (accepted - before.accepted) / seconds),
    row('processor time of the agent', '%', (100 * (processor - before.processor)) / seconds),
    // Of its main thread.
    row('time in which it waited for a processor', '%', (100 * (waited - before.waited)) / seconds),
    { ...row('longest turn of the agent (CPU)', 'ms', turn), goal: { max: 50 } },
    row('p50 of 200 calls of the host', 'ms', at(0.5)),
    row('p99', 'ms', at(0.99)),
    row('longest', 'ms', at(1)),
  ];
}

/** Returns the sorted times of the calls, in milliseconds. */
async function hostCalls({ agent }: Connection, pause: number): Promise<readonly number[]> {
  const times: number[] = [];
  for (let count = 0; count < calls; count += 1) {
    const begin = performance.now();
    await agent.getGuestDetails({});
    times.push(performance.now() - begin);
    await delay(pause);
  }
  return times.toSorted((a, b) => a - b);
}

/** What a process has had since its start, in seconds, and the connections that were accepted in its network. */
function stateOf(pid: number | undefined): {
  readonly accepted: number;
  readonly processor: number;
  readonly waited: number;
} {
  const [names = '', values = ''] = readFileSync(`/proc/${pid}/net/snmp`, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('Tcp: '));
  const accepted = Number(values.split(' ')[names.split(' ').indexOf('PassiveOpens')]);
  // Nanoseconds on a processor, and in the queue for one.
  const [, waited = ''] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ');
  return { accepted, processor: processorSeconds(pid), waited: Number(waited) / 1e9 };
}

/** Creates a root file system with busybox, Node.js with its libraries, and the program of the flood. */
function rootfsWithNode(directory: string): string {
  const rootfs = makeRootfs(directory);
  const { stdout } = spawnSync('ldd', [process.execPath], { encoding: 'utf8' });
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
  const files = new Map(libraries.map((path) => [path, path]));
  files.set(node, process.execPath);
  files.set('/flooder.mjs', fileURLToPath(new URL('tls-flooder.js', import.meta.url)));
  for (const [path, source] of files) {
    mkdirSync(join(rootfs, dirname(path)), { recursive: true });
    copyFileSync(source, join(rootfs, path));
  }
  return rootfs;
}

/** A container without capabilities, in the network of the agent. */
function container(id: string, rootfs: string, args: readonly string[]) {
  return {
    containerId: id,
    execId: id,
    OCI: {
      Version: '1.0.2',
      Process: {
        User: { UID: 1000, GID: 1000 },
        Args: [...args],
        Env: ['PATH=/bin'],
        Cwd: '/',
        NoNewPrivileges: true,
      },
      Root: { Path: rootfs, Readonly: true },
      Mounts: [
        { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
        { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=64k'] },
      ],
      Linux: {
        CgroupsPath: `/kata-bench-${process.pid}/${id}`,
        Namespaces: [{ Type: 'pid' }, { Type: 'ipc' }, { Type: 'uts' }, { Type: 'mount' }],
      },
    },
  };
}
