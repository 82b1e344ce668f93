import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import {
  AgentService,
  CopyFileRequestSchema,
  type CreateContainerRequest,
  ReadStreamRequestSchema,
  SignalProcessRequestSchema,
  StatsContainerRequestSchema,
  StorageSchema,
} from '@kata-agent/protocol/agent';
import { sharedDirectory } from '@kata-agent/catalogue';
import { Management } from '@kata-agent/protocol/management';
import { type Channel, type Client, Code, createClient, TtrpcError } from '@kata-agent/ttrpc';
import type { FileEntry } from '@kata-agent/tool-guest-image/tree/archive';
import { developerHome } from '@kata-agent/tool-vm/image';
import type { Machine } from '@kata-agent/tool-vm/machine/machine';
import { processRequest } from '../harness/container-request.js';
import { readAll, readUntil } from '../harness/container-client.js';
import { callInner } from '../harness/inner-agent.js';
import { ctlProgram, repository } from '../harness/repository.js';
import { build } from '../interop/artifacts.js';
import { container, ext4Disk, imageStorage, rootDirectory } from './hotplug.js';
import { hostListener } from './listeners.js';
import { agentIn, boot, type Image, imageOf, poweredOff, shell, whyNoMachine } from './machine.js';
import { runningGuest } from './running-guest.js';
import { verifiedRecord } from './verified-record.js';

const skip = whyNoMachine('e2fsprogs', 'erofs-utils', 'cryptsetup-bin') ?? false;
const built = skip === false ? build('inner-agent', 'kata.binpb') : undefined;
const whyNot = skip !== false ? skip : built?.ok === false ? built.missing : false;

type Record_ = Readonly<Record<string, unknown>>;
const method = AgentService.method;

const unitDirectory = '/usr/lib/systemd/system';
const innerSocket = '/run/kata-agent-inner/agent.sock';

const config = `[agent]
forward = "unix://${innerSocket}"

[api]
release = "4.1"
allowed_endpoints = ["*"]

[[api.rule]]
name = "copied-files"
endpoints = ["CopyFile"]
expression = 'path.within("/run/kata-containers")'
message = "outside of the shared directory"

${hostListener('management = ["GetCheckpoint"]\n')}`;

const file = (path: string, data: string | Buffer, mode = 0o644): FileEntry => ({
  path,
  data: Buffer.from(data),
  mode,
});
const unit = (name: string, data: string): FileEntry => file(`${unitDirectory}/${name}`, data);

/** As docs/forward-mode.md has it. */
const startedAgain = unit(
  'kata-agent-inner.service.d/again.conf',
  '[Unit]\nFailureAction=none\n[Service]\nRestart=always\nRestartSec=0\n',
);

/** The relay of the tests, which is no part of the image. */
const relay = [
  unit(
    'relay.service',
    `[Service]
ExecStartPre=/usr/bin/busybox ip address add 10.0.2.15/24 dev eth0
ExecStartPre=/usr/bin/busybox ip link set eth0 up
ExecStart=/usr/bin/node ${developerHome}/relay.mjs
`,
  ),
  unit('kata-containers.target.d/relay.conf', '[Unit]\nWants=relay.service\n'),
];

function artifact(name: 'inner-agent' | 'kata.binpb'): string {
  if (built?.ok !== true) throw new Error('Go is missing');
  return built.path(name);
}

/** What the Go server needs beside the file of Kata's agent. */
const descriptors = (): FileEntry =>
  file('/etc/kata-agent-inner/kata.binpb', readFileSync(artifact('kata.binpb')));

/** Builds the image of `npm run image -- --inner-agent`, with the relay. */
async function recipe(
  name: string,
  options: Pick<Parameters<typeof imageOf>[1], 'rootfs' | 'files'> = {},
): Promise<Image> {
  const path = join(repository, 'build', 'vm-tests', 'forward-recipe', 'config.toml');
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, config);
  return imageOf(name, { config: path, innerAgent: artifact('inner-agent'), ...options });
}

// No parameter says which target systemd boots.
const append = ['rdinit=/init', 'net.ifnames=0'];

async function bootRecipe(
  directory: string,
  overlay: readonly FileEntry[],
  disks: readonly string[] = [],
): Promise<Machine> {
  const image = await recipe('recipe');
  return boot(image, directory, { overlay: [...relay, ...overlay], append, disks, memory: 768 });
}

/** Connects when the agent in front serves: an inner one can print the same when it listens. */
async function agentInFront(machine: Machine): ReturnType<typeof agentIn> {
  await until('the unit of this agent is active', async () =>
    (await shell(machine, 'systemctl is-active kata-agent || true')).trim() === 'active' ? true : undefined,
  );
  return agentIn(machine);
}

/** Reads until there is something, for a minute at most. */
async function until<T>(description: string, read: () => Promise<T | undefined>): Promise<T> {
  for (let look = 0; look < 300; look++) {
    const found = await read();
    if (found !== undefined) return found;
    await delay(200);
  }
  throw new Error(`timed out before ${description}`);
}

/** The main process of a unit. */
async function pidOf(machine: Machine, name: string): Promise<string> {
  return (await shell(machine, `systemctl show --property=MainPID --value ${name}`)).trim();
}

/** Resolves when the unit has another main process than this one. */
async function startedAfter(machine: Machine, name: string, before: string): Promise<string> {
  return until(`${name} is started again`, async () => {
    const pid = await pidOf(machine, name);
    return pid === '0' || pid === before ? undefined : pid;
  });
}

function named(records: readonly Record_[], name: string): readonly Record_[] {
  return records.filter((record) => record['method'] === name);
}

function failed(code: Code, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof TtrpcError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, text);
    return true;
  };
}

describe('the image with an inner agent, a Go server of all methods', { skip: whyNot }, () => {
  const guest = runningGuest('recipe', (directory) => bootRecipe(directory, [startedAgain, descriptors()]));
  let channel: Channel;
  let agent: Client<typeof AgentService>;

  before(async () => {
    ({ agent, channel } = await agentInFront(guest.machine));
  });

  const records = (): Promise<readonly Record_[]> => verifiedRecord(guest.machine, guest.directory);

  it('starts the inner agent first, and calls reach it over vsock with the bytes of their requests', async () => {
    const request = create(StatsContainerRequestSchema, { containerId: 'one' });
    const reply = await callInner(channel, method.statsContainer, request);
    assert.equal(reply.method, 'StatsContainer');
    assert.deepEqual(Buffer.from(reply.request), Buffer.from(toBinary(StatsContainerRequestSchema, request)));
    const within = create(CopyFileRequestSchema, { path: `${sharedDirectory}/volume/file` });
    assert.equal((await callInner(channel, method.copyFile, within)).method, 'CopyFile');
    const [first] = await records();
    assert.deepEqual(
      (first?.['facts'] as { forward?: { address?: string } } | undefined)?.forward?.address,
      `unix://${innerSocket}`,
    );
  });

  it('a call that a rule denies does not reach it, and is recorded', async () => {
    await assert.rejects(
      agent.copyFile({ path: '/etc/passwd' }),
      failed(Code.PermissionDenied, /outside of the shared directory/),
    );
    const denied = named(await records(), 'CopyFile').flatMap(({ decision }) =>
      decision === undefined ? [] : [decision as Record_],
    );
    assert.ok(
      denied.some(({ outcome, rule }) => outcome === 'deny' && rule === 'copied-files'),
      JSON.stringify(denied),
    );
  });

  it('a field that this agent does not know is refused, and recorded', async () => {
    const request = create(SignalProcessRequestSchema, { containerId: 'one', signal: 9 });
    request.$unknown = [{ no: 900, wireType: WireType.Varint, data: new Uint8Array([1]) }];
    await assert.rejects(
      callInner(channel, method.signalProcess, request),
      failed(Code.InvalidArgument, /900/),
    );
    const [last] = named(await records(), 'SignalProcess').slice(-1);
    assert.equal((last?.['decision'] as Record_ | undefined)?.['outcome'], 'deny', JSON.stringify(last));
  });

  it('only root reaches its socket, which has a path', async () => {
    const modes = await shell(guest.machine, `stat -c '%a %u %F' ${innerSocket} /run/kata-agent-inner`);
    assert.match(modes, /^\d+ 0 socket\n700 0 directory$/m);
    const listed = await shell(guest.machine, 'grep kata-agent-inner /proc/net/unix');
    assert.ok(!listed.includes('@'), listed);
    const program = (uid: number): string =>
      `process.setgid(${uid}); process.setuid(${uid}); require("net").connect("${innerSocket}").on("connect", () => { console.log("connected"); process.exit() }).on("error", ({ code }) => console.log(code))`;
    const connects = async (uid: number): Promise<string> =>
      (await shell(guest.machine, `node -e '${program(uid)}'`)).trim();
    assert.equal(await connects(0), 'connected');
    assert.equal(await connects(65534), 'EACCES');
  });

  it('killed, it is an error of the calls in flight; started again by its unit, calls are served', async () => {
    const inner = await pidOf(guest.machine, 'kata-agent-inner');
    const front = await pidOf(guest.machine, 'kata-agent');
    const inFlight = agent.readStdout({ containerId: 'block', execId: '' });
    const changes = agent.signalProcess({ containerId: 'block', execId: '', signal: 15 });
    const ends = Promise.all([
      assert.rejects(inFlight, failed(Code.Unavailable, /./)),
      assert.rejects(changes, failed(Code.Unavailable, /may have been carried out/)),
    ]);
    await until('the change is recorded', async () =>
      named(await records(), 'SignalProcess').some(({ kind }) => kind === 'intent') ? true : undefined,
    );
    await shell(guest.machine, `kill -9 ${inner}`);
    await ends;
    await startedAfter(guest.machine, 'kata-agent-inner', inner);
    const request = create(ReadStreamRequestSchema, { containerId: 'one', len: 10 });
    const reply = await until('a call is served', () =>
      callInner(channel, method.readStdout, request).catch((error: unknown) => {
        failed(Code.Unavailable, /inner agent/)(error);
        return undefined;
      }),
    );
    assert.equal(reply.method, 'ReadStdout');
    assert.equal(await pidOf(guest.machine, 'kata-agent'), front, 'this agent was not started again');
    const all = await records();
    const outcome = all.find(
      ({ kind, result }) => kind === 'outcome' && (result as Record_)['code'] === 'UNAVAILABLE',
    );
    assert.match(
      String((outcome?.['result'] as Record_ | undefined)?.['message']),
      /may have been carried out/,
    );
    // The watch attaches again by a backoff of its own, later than a call may be served.
    await until('the return of the inner agent is recorded', async () => {
      const connections = (await records()).filter(({ listener }) => listener === 'forward');
      return connections.length >= 3 ? true : undefined;
    });
  });

  it('a checkpoint agrees with the log', async () => {
    const { checkpoint } = await createClient(Management, channel).getCheckpoint({});
    const { directory } = guest;
    const [first] = await records();
    writeFileSync(join(directory, 'checkpoint'), checkpoint);
    const args = [
      'audit',
      'verify',
      join(directory, 'audit.log'),
      '--checkpoint',
      join(directory, 'checkpoint'),
    ];
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [ctlProgram, ...args, '--key', String(first?.['logKey'])],
      { encoding: 'utf8' },
    );
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stdout, /checkpoint of kata-agent\/[0-9a-f]{64}: \d+ records/);
  });
});

describe('the same image on a disk with a root hash', { skip: whyNot }, () => {
  const guest = runningGuest('recipe-disk', async (directory) => {
    const image = await recipe('disk', { rootfs: true, files: [...relay, descriptors()] });
    return boot(image, directory, {
      append: [
        ...append,
        'systemd.setenv=KATA_AGENT_SERVER_ADDR=unix:///nowhere',
        'NODE_OPTIONS=--require=/nowhere.js',
      ],
      disks: image.disks.map(({ path }) => path),
      memory: 768,
    });
  });

  it('serves, and the kernel command line is not in the environment of the inner agent', async () => {
    const { machine } = guest;
    const { channel } = await agentInFront(machine);
    const request = create(StatsContainerRequestSchema, { containerId: 'one' });
    assert.equal((await callInner(channel, method.statsContainer, request)).method, 'StatsContainer');
    channel.close();
    const inner = await pidOf(machine, 'kata-agent-inner');
    const environment = await shell(machine, `tr '\\0' '\\n' </proc/${inner}/environ`);
    assert.match(environment, /^PATH=[^\n]*\n$/);
    assert.match(
      await shell(machine, 'tail -n 1 /proc/self/mountinfo; grep " / " /proc/mounts'),
      / \/ erofs ro/,
    );
  });

  it('without a drop-in the end of the inner agent powers the machine off', async () => {
    const { machine } = guest;
    const inner = await pidOf(machine, 'kata-agent-inner');
    // The answer may not arrive.
    await shell(machine, `kill -9 ${inner}`).catch(() => undefined);
    assert.equal(await poweredOff(machine), 0);
  });
});

/** Gives a container its root as runtime-rs does: a disk of the machine, by its slot, mounted at the root's path. */
function onDisk(slot: string, request: CreateContainerRequest): CreateContainerRequest {
  const mountPoint = `${sharedDirectory}/passthrough/${request.containerId}/rootfs`;
  request.storages = [create(StorageSchema, { ...imageStorage, source: slot, mountPoint })];
  if (request.OCI?.Root !== undefined) request.OCI.Root.Path = mountPoint;
  return request;
}

/** This agent, without rules and with its own directories, as an inner agent can be started. */
const ownInner = [
  file(
    '/etc/kata-agent-inner/own.toml',
    '[agent]\nprivileged_containers = "allow"\n[api]\nallowed_endpoints = ["*"]\n',
  ),
  file(
    '/usr/bin/kata-agent-inner',
    `#!/bin/sh
exec /usr/bin/node /usr/lib/kata-agent/kata-agent.cjs --config /etc/kata-agent-inner/own.toml \\
  --state-dir /run/kata-agent-inner-state --server-addr unix://${innerSocket}
`,
    0o755,
  ),
];

describe('the image with this agent as the inner one', { skip: whyNot }, () => {
  const guest = runningGuest('recipe-own', (directory) =>
    bootRecipe(
      directory,
      [startedAgain, ...ownInner],
      ['one', 'two'].map((name) => ext4Disk(directory, name, rootDirectory(directory, `root-${name}`))),
    ),
  );
  let agent: Client<typeof AgentService>;

  before(async () => {
    ({ agent } = await agentInFront(guest.machine));
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
  });

  it('a container runs: its output, an exec, its figures and its end', async () => {
    const containerId = 'one';
    await agent.createContainer(
      onDisk('10', container(containerId, 'echo ready; read line; echo "got $line"; exit 7')),
    );
    await agent.startContainer({ containerId });
    await readUntil(agent, containerId, 'ready');
    const execId = 'exec';
    await agent.execProcess({ containerId, execId, process: processRequest(['cat', '/proc/self/cgroup']) });
    assert.match(String(await readAll(agent, 'stdout', containerId, execId)), /^0::\//);
    assert.equal((await agent.waitProcess({ containerId, execId })).status, 0);
    const { cgroupStats } = await agent.statsContainer({ containerId });
    assert.ok((cgroupStats?.memoryStats?.usage?.usage ?? 0n) > 0n);
    await agent.writeStdin({ containerId, execId: containerId, data: Buffer.from('words\n') });
    await readUntil(agent, containerId, 'got words');
    assert.equal((await agent.waitProcess({ containerId, execId: containerId })).status, 7);
    await agent.removeContainer({ containerId });
  });

  it('a container outlives the inner agent, which is started again', async () => {
    const containerId = 'two';
    // Its standard input ends with the process that had it.
    const reads =
      'echo ready; while :; do if read -r line; then echo "got $line"; exit 3; else sleep 0.2; fi; done';
    await agent.createContainer(onDisk('11', container(containerId, reads)));
    await agent.startContainer({ containerId });
    await readUntil(agent, containerId, 'ready');
    const inner = await pidOf(guest.machine, 'kata-agent-inner');
    await shell(guest.machine, `kill -9 ${inner}`);
    await startedAfter(guest.machine, 'kata-agent-inner', inner);
    await until('a call is served', () =>
      agent.statsContainer({ containerId }).catch((error: unknown) => {
        failed(Code.Unavailable, /inner agent/)(error);
        return undefined;
      }),
    );
    await agent.writeStdin({ containerId, execId: containerId, data: Buffer.from('again\n') });
    await readUntil(agent, containerId, 'got again');
    const { status } = await agent.waitProcess({ containerId, execId: containerId });
    // Unknown if systemd, now its parent, waited for it before the agent had read its exit code.
    assert.ok([3, 255].includes(status), String(status));
    await agent.removeContainer({ containerId });
  });

  it('the calls are in the audit log of the agent in front, which verifies', async () => {
    const records = await verifiedRecord(guest.machine, guest.directory);
    for (const name of ['CreateSandbox', 'CreateContainer', 'ExecProcess', 'RemoveContainer'])
      assert.ok(
        named(records, name).some(
          ({ kind, result }) => kind === 'outcome' && (result as Record_)['code'] === 'OK',
        ),
        name,
      );
  });
});
