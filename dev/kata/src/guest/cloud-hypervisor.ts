// Replaces the program of Cloud Hypervisor on a machine without KVM: serves its API as far as Kata's runtime calls it. The
// guest is an agent in namespaces of its own, which the hybrid vsock of the API reaches. WORK_DIRECTORY in the environment is
// for sockets and logs.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type ServerResponse } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { agentProgram, givenConfiguration, openConfiguration, virtiofsPreload } from './paths.js';

interface VmConfig {
  readonly vsock?: { readonly socket: string };
  readonly memory?: { readonly size: number };
}

const apiSocket = process.argv[process.argv.indexOf('--api-socket') + 1];
const workDirectory = process.env['WORK_DIRECTORY'];
if (apiSocket === undefined || workDirectory === undefined)
  throw new Error('--api-socket or WORK_DIRECTORY is missing');

/** The runtime's directory of a machine has the name of the sandbox. */
const sandbox = basename(dirname(apiSocket));
/** The directory that Kata's runtime shares with the guest. */
const sharedDirectory = join('/run/kata-containers/shared/sandboxes', sandbox, 'shared');
const guestDirectory = join(workDirectory, sandbox.slice(0, 12));
mkdirSync(guestDirectory, { recursive: true });
const agentSocket = join(guestDirectory, 'agent.sock');
const given = join(workDirectory, givenConfiguration);
const agentConfiguration = existsSync(given) ? withAddress(given) : openConfiguration;
let config: VmConfig = {};
let state: 'Created' | 'Running' | 'Shutdown' = 'Created';
let guest: ChildProcess | undefined;

const routes: Readonly<Record<string, (body: string) => unknown>> = {
  'GET /vmm.ping': () => ({ version: 'v0.0.0' }),
  'GET /vm.info': () => ({ config, state, memory_actual_size: config.memory?.size ?? 0 }),
  'PUT /vm.create': (body) => {
    config = JSON.parse(body) as VmConfig;
    listenForHost(config.vsock?.socket);
  },
  'PUT /vm.boot': () => {
    guest = startGuest();
    state = 'Running';
  },
  // The size of a guest in namespaces is that of the machine.
  'PUT /vm.resize': () => undefined,
  'PUT /vm.shutdown': () => {
    state = 'Shutdown';
    guest?.kill('SIGKILL');
  },
  'PUT /vmm.shutdown': () => {
    guest?.kill('SIGKILL');
    setImmediate(() => process.exit(0));
  },
};

createHttpServer((request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (text: string) => {
    body += text;
  });
  request.on('end', () => {
    answer(`${request.method} ${request.url?.replace('/api/v1', '')}`, body, response);
  });
}).listen(apiSocket);

function answer(route: string, body: string, response: ServerResponse): void {
  const handler = routes[route];
  if (handler === undefined) {
    response.writeHead(404).end(`${route} is not served here`);
    return;
  }
  const reply = handler(body);
  if (reply === undefined) response.writeHead(204).end();
  else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(reply));
}

/**
 * Starts the agent. A file system of bindfs is between the shared directory and the guest, as virtio-fs is: it shows what
 * the runtime mounts there later, which mounts that are private in the guest would not.
 */
function startGuest(): ChildProcess {
  const share = join(guestDirectory, 'share');
  mkdirSync(share);
  const { status, stderr } = spawnSync('bindfs', ['-o', 'dev,suid', sharedDirectory, share], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`bindfs: ${stderr}`);
  const log = openSync(join(guestDirectory, 'agent.log'), 'a');
  const script = [
    'mount -t tmpfs -o mode=755 guest /run',
    'hostname guest',
    // As PID 1 the agent would mount the file systems of a guest.
    '{ "$@" & wait; }',
  ].join(' && ');
  const namespaces = '--mount --net --uts --ipc --pid --fork --mount-proc --kill-child --propagation private';
  return spawn(
    'unshare',
    [
      ...namespaces.split(' '),
      'sh',
      '-c',
      script,
      'sh',
      process.execPath,
      '--import',
      virtiofsPreload,
      agentProgram,
      '-c',
      agentConfiguration,
      '--server-addr',
      `unix://${agentSocket}`,
    ],
    { stdio: ['ignore', log, log], env: { ...process.env, SHARED_DIRECTORY: share } },
  );
}

/**
 * Copies a configuration and adds the address, which flags cannot change in a generated one: its agent would listen on
 * vsock of this machine. Also adds a runtime that claims a release with all fixes, because Debian's is denied for roots on a
 * share.
 */
function withAddress(configuration: string): string {
  const section = '[agent]\n';
  const text = readFileSync(configuration, 'utf8');
  if (!text.includes(section)) throw new Error(`${configuration} has no section [agent]`);
  const runtime = join(guestDirectory, 'runc');
  writeFileSync(
    runtime,
    `#!/bin/sh
for word; do [ "$word" != features ] || { runc features | sed '/runc.version/s/: ".*"/: "1.3.6"/'; exit; }; done
exec runc "$@"
`,
    { mode: 0o755 },
  );
  const path = join(guestDirectory, 'agent.toml');
  const settings = `server_addr = "unix://${agentSocket}"\noci_runtime = "${runtime}"\n`;
  writeFileSync(path, text.replace(section, section + settings));
  return path;
}

/** Serves Cloud Hypervisor's hybrid vsock: the host writes `CONNECT <port>` and gets `OK <port>`. */
function listenForHost(path: string | undefined): void {
  if (path === undefined) return;
  createServer((host) => {
    host.on('error', () => undefined);
    let head = Buffer.alloc(0);
    const read = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\n');
      if (end < 0) return;
      host.off('data', read).pause();
      forward(host, head.subarray(end + 1), /^CONNECT (\d+)/.exec(head.toString())?.[1] ?? '');
    };
    host.on('data', read);
  }).listen(path);
}

function forward(host: Socket, rest: Buffer, port: string): void {
  const agent = connect(agentSocket);
  agent.on('error', () => host.destroy());
  agent.on('connect', () => {
    host.write(`OK ${port}\n`);
    agent.write(rest);
    host.pipe(agent);
    agent.pipe(host);
  });
  agent.on('close', () => host.destroy());
  host.on('close', () => agent.destroy());
}
