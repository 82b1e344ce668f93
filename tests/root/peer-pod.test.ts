import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create, fromJson, isMessage, type JsonValue, type Message } from '@bufbuild/protobuf';
import {
  AgentService,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
} from '@kata-agent/protocol/agent';
import { LinuxNamespaceSchema } from '@kata-agent/protocol/oci';
import { AgentProcess } from '../harness/agent-process.js';
import { readAll, readUntil } from '../harness/container-client.js';
import { cgroupParent } from '../harness/container-request.js';
import { DockerRegistry, registryPassword, registryUser } from '../harness/docker-registry.js';
import { imageOf, layerOfTree, manifestType, writeLayout } from '../harness/oci-image.js';
import { pauseBundle, pauseProcess } from '../harness/pause-bundle.js';
import { repository } from '../harness/repository.js';
import { eventually } from '../harness/retry.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';

const skip = whyNoContainers('docker-registry', 'skopeo') ?? false;

/** The namespace that the forwarder of cloud-api-adaptor adds. */
const podns = '/run/netns/podns';

/** The calls of Kata's Go shim (3.27.0) with the remote hypervisor, recorded by `npm run kata -- --only remote --keep`. */
const recording = `${repository}tests/root/peer-pod.json`;

interface Call {
  readonly method: string;
  readonly request: Message;
}

type Client = Awaited<ReturnType<AgentProcess['connect']>>['agent'];

describe("a peer pod, by the recorded calls of Kata's shim (R18)", { skip }, () => {
  let directory = '';
  let registry: DockerRegistry;
  let agent: AgentProcess;
  let server: ChildProcess | undefined;
  let client: Client;
  let image = '';
  let calls: Call[] = [];
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-test-'));
    registry = await DockerRegistry.start();
    const rootfs = makeRootfs(directory);
    mkdirSync(join(rootfs, 'etc'), { recursive: true });
    writeFileSync(join(rootfs, 'etc/from-the-registry'), 'pulled by the guest\n');
    const pulled = imageOf({ layers: [layerOfTree(rootfs)] });
    writeLayout(join(directory, 'app'), pulled.manifest, manifestType, [pulled]);
    registry.push(`oci:${join(directory, 'app')}:x`, 'team/app:x');
    image = `${registry.host}/team/app@${pulled.manifest.digest}`;
    const auth = Buffer.from(`${registryUser}:${registryPassword}`).toString('base64');
    const credentials = join(directory, 'auth.json');
    writeFileSync(credentials, JSON.stringify({ auths: { [registry.host]: { auth } } }), { mode: 0o600 });
    agent = await AgentProcess.start({
      config: `[agent]
network_namespaces = ["${podns}"]
[api]
allowed_endpoints = ["*"]
blocked_endpoints = ["UpdateInterface", "UpdateRoutes", "AddARPNeighbors", "OnlineCPUMem"]
[image]
puller = "built-in"
registries = ["${registry.host}/team/*"]
registry_ca = ${JSON.stringify(registry.ca)}
credentials = "${credentials}"
insecure_static_credentials = true
require_digest = true
`,
      setup: `ip link set lo up && ip netns add podns && ${pauseBundle(directory)}`,
    });
    server = await registry.serveIn(agent.process.pid ?? 0);
    ({ agent: client } = await agent.connect());
    calls = readCalls(image);
  });
  after(async () => {
    server?.kill('SIGKILL');
    await agent.dispose();
    await registry.stop();
    rmSync(directory, { recursive: true });
  });

  /** Takes the calls up to and with the next one of a method. */
  function takeUntil(method: string): readonly Call[] {
    const at = calls.findIndex((call) => call.method === method);
    assert.ok(at >= 0, `the recording has no ${method} more`);
    return calls.splice(0, at + 1);
  }

  async function play(played: readonly Call[]): Promise<void> {
    for (const call of played) await send(client, call);
  }

  const processes = () => descendantsOf(agent.process.pid ?? 0);

  it('the pause container is that of the guest', async () => {
    await play(takeUntil('StartContainer'));
    await eventually(() => assert.ok(processes().some(({ args }) => args === pauseProcess.join(' '))));
  });

  it('the image is pulled, and the container runs in the namespace of the forwarder', async () => {
    const played = takeUntil('StartContainer');
    await play(played);
    const id = idOf(played.at(-1));
    assert.equal(await readUntil(client, id, 'green'), 'started green\n');
    const line = agent.log.find((each) => each.includes('an image was fetched and verified'));
    assert.ok(line?.includes(image.split('@')[1] ?? '?'), line);
    const networkOf = (pid: number): string => readlinkSync(`/proc/${pid}/ns/net`);
    const main = processes().find(({ args }) => args.includes('trap "exit 3" TERM'));
    assert.ok(main !== undefined);
    assert.notEqual(networkOf(main.pid), networkOf(agent.process.pid ?? 0));
  });

  it('a command is executed in it, and its stats are read', async () => {
    const [exec] = takeUntil('ExecProcess');
    assert.ok(exec !== undefined);
    await send(client, exec);
    const { containerId, execId } = exec.request as Message & {
      readonly containerId: string;
      readonly execId: string;
    };
    assert.equal((await readAll(client, 'stdout', containerId, execId)).toString(), 'pulled by the guest\n');
    assert.equal((await client.waitProcess({ containerId, execId })).status, 0);
    await play(takeUntil('StatsContainer'));
  });

  it('its removal and that of the pod leave nothing', async () => {
    const [signal] = takeUntil('SignalProcess');
    assert.ok(signal !== undefined);
    await send(client, signal);
    assert.equal((await client.waitProcess({ containerId: idOf(signal) })).status, 3);
    await play(takeUntil('RemoveContainer'));
    const bundles = `/proc/${agent.process.pid}/root/run/kata-agent/bundles`;
    assert.equal(readdirSync(bundles).length, 1);
    await play(takeUntil('RemoveStaleVirtiofsShareMounts'));
    await play(takeUntil('RemoveContainer'));
    assert.deepEqual(readdirSync(bundles), []);
    const mounts = readFileSync(`/proc/${agent.process.pid}/mountinfo`, 'utf8')
      .split('\n')
      .filter((line) => line.includes(' /run/kata-agent/bundles'));
    assert.deepEqual(mounts, []);
    await play(takeUntil('DestroySandbox'));
    assert.equal(await agent.exited, 0);
  });
});

/** Reads the recording, with what the forwarder changes. */
function readCalls(image: string): Call[] {
  const text = readFileSync(recording, 'utf8').replaceAll('IMAGE', image).replaceAll('CGROUP', cgroupParent);
  const recorded = JSON.parse(text) as readonly { readonly method: string; readonly request: JsonValue }[];
  return recorded.map(({ method, request }) => {
    const input = AgentService.methods.find(({ name }) => name === method)?.input;
    assert.ok(input !== undefined, method);
    const message = fromJson(input, request);
    if (isMessage(message, CreateSandboxRequestSchema)) message.dns = [];
    if (isMessage(message, CreateContainerRequestSchema))
      message.OCI?.Linux?.Namespaces.push(create(LinuxNamespaceSchema, { Type: 'network', Path: podns }));
    return { method, request: message };
  });
}

async function send(client: Client, { method, request }: Call): Promise<void> {
  const name = `${method.charAt(0).toLowerCase()}${method.slice(1)}` as keyof Client;
  try {
    await (client[name] as (message: Message) => Promise<Message>)(request);
  } catch (error) {
    // A second SIGKILL of the shim finds no process.
    if (method === 'SignalProcess' && String(error).includes('ESRCH: No such process')) return;
    throw error;
  }
}

function idOf(call: Call | undefined): string {
  return (call?.request as (Message & { readonly containerId: string }) | undefined)?.containerId ?? '';
}

interface Process {
  readonly pid: number;
  readonly args: string;
}

/** The descendants of a process. */
function descendantsOf(pid: number): readonly Process[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter(Boolean)
    .map(Number)
    .flatMap((child) => [
      {
        pid: child,
        args: readFileSync(`/proc/${child}/cmdline`, 'utf8').split('\0').filter(Boolean).join(' '),
      },
      ...descendantsOf(child),
    ]);
}
