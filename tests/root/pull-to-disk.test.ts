import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { AgentProcess } from '../harness/agent-process.js';
import { outputOf, readAll } from '../harness/container-client.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { GuestMachine } from '../harness/guest-machine.js';
import { DockerRegistry, registryPassword, registryUser } from '../harness/docker-registry.js';
import { attachDisk, detachDisk, verityStandIn } from '../harness/layer-disks.js';
import {
  imageOf,
  layerOf,
  layerOfTree,
  manifestType,
  type TestImage,
  writeLayout,
} from '../harness/oci-image.js';
import { eventually } from '../harness/retry.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { addDisk, guestPull } from '../harness/pulled-image.js';
import { answerOf } from '../harness/sweep.js';

const skip =
  whyNoContainers('docker-registry', 'skopeo', 'erofs-utils', 'cryptsetup-bin', 'util-linux') ?? false;
const toml = JSON.stringify;
const scratch = '/dev/trusted_store';
const MiB = 1024 * 1024;

/** A tree whose modes and attributes a copy could lose. */
function specialRootfs(directory: string): string {
  const rootfs = makeRootfs(directory);
  writeFileSync(join(rootfs, 'etc/from-the-image'), 'stored\n');
  writeFileSync(join(rootfs, 'etc/private'), 'private\n', { mode: 0o600 });
  return rootfs;
}

describe('images on a scratch disk, [image] store = "encrypted-disk" (R18)', { skip }, () => {
  let directory = '';
  let registry: DockerRegistry;
  let image: TestImage;
  let disk = '';
  let small = '';
  let agent: AgentProcess | undefined;
  let server: ChildProcess | undefined;
  const devices: string[] = [];

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-store-'));
    registry = await DockerRegistry.start();
    image = imageOf({ layers: [layerOfTree(specialRootfs(directory)), layerOf('top', 'second layer\n')] });
    writeLayout(join(directory, 'app'), image.manifest, manifestType, [image]);
    registry.push(`oci:${join(directory, 'app')}:x`, 'team/app:x');
    [disk, small] = [attach('disk', 64 * MiB), attach('small', MiB / 2)];
  });
  after(async () => {
    await registry.stop();
    for (const each of devices) detachDisk(each);
    // A device above them that is left would keep them.
    await eventually(() => assert.ok(!losetup().includes(directory), losetup()));
    rmSync(directory, { recursive: true });
  });
  afterEach(async () => {
    server?.kill('SIGKILL');
    await agent?.dispose();
    [server, agent] = [undefined, undefined];
  });

  const diskFile = (name: string): string => join(directory, `${name}.img`);
  function attach(name: string, size: number): string {
    writeFileSync(diskFile(name), '');
    truncateSync(diskFile(name), size);
    const device = attachDisk(diskFile(name));
    devices.push(device);
    return device;
  }

  const losetup = (): string =>
    execFileSync('losetup', ['--noheadings', '--output', 'BACK-FILE,NAME'], { encoding: 'utf8' });

  type Client = Awaited<ReturnType<AgentProcess['connect']>>['agent'];
  let tables = '';

  /** The sections of the configuration for images. */
  function imageTables(): string {
    const auth = join(directory, 'auth.json');
    const user = Buffer.from(`${registryUser}:${registryPassword}`).toString('base64');
    writeFileSync(auth, JSON.stringify({ auths: { [registry.host]: { auth: user } } }), { mode: 0o600 });
    return `[agent]
guest_components_procs = "none"
[image]
puller = "built-in"
store = "encrypted-disk"
registry_ca = ${toml(registry.ca)}
credentials = ${toml(auth)}
insecure_static_credentials = true
max_size = "64MiB"
`;
  }

  async function start(): Promise<Client> {
    tables = join(directory, 'tables');
    writeFileSync(tables, '');
    const config = `${imageTables()}[api]\nallowed_endpoints = ["*"]\nrelease = "4.1"\n`;
    const standIn = verityStandIn(tables);
    agent = await AgentProcess.start({
      config,
      setup: `ip link set lo up && ${standIn.setup}`,
      env: standIn.env,
    });
    server = await registry.serveIn(agent.process.pid ?? 0);
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod' });
    return client;
  }

  let count = 0;
  function request(args: readonly string[], source: string | null = disk): CreateContainerRequest {
    count += 1;
    const id = `stored-${process.pid}-${count}`;
    const reference = `${registry.host}/team/app@${image.manifest.digest}`;
    const annotations = {
      'io.kubernetes.cri.container-type': 'container',
      'io.kubernetes.cri.image-name': reference,
    };
    const rootfs = `/run/kata-containers/${id}/rootfs`;
    const made = create(CreateContainerRequestSchema, containerRequest({ id, rootfs, args, annotations }));
    made.storages.push(guestPull(reference, rootfs, annotations));
    if (source !== null) addDisk(made, source, scratch);
    return made;
  }

  /** What an image could leave. */
  function traces(): unknown {
    const pid = agent?.process.pid ?? 0;
    return {
      mounts: readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
        .split('\n')
        .filter((line) => line.includes(' /run/kata-agent') && !line.includes(' - nsfs ')),
      bundles: namesIn(`/proc/${pid}/root/run/kata-agent/bundles`),
      mounting: namesIn(`/proc/${pid}/root/run/kata-agent/mounting`),
      mapped: namesIn(`/proc/${pid}/root/dev`).filter(isMapped),
      processes: readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean),
    };
  }

  const isMapped = (name: string): boolean => /^(?:dm|below|stand-in)-/.test(name);
  const namesIn = (path: string): readonly string[] => (existsSync(path) ? readdirSync(path) : []);

  it('an image is stored, its container has no node of the disk, and nothing is left', async () => {
    const client = await start();
    const before = traces();
    const script =
      'cat /etc/from-the-image /top; stat -c %a:%u /etc/private /; ls /dev; echo new >/top; cat /top; ls /run';
    const text = await outputOf(client, request(['sh', '-c', script]));
    assert.match(text, /^stored\nsecond layer\n600:0\n755:0\n/);
    assert.match(text, /\nnew\n/);
    assert.doesNotMatch(text, /trusted_store/);
    await eventually(() => assert.deepEqual(traces(), before));
    const [crypt = '', verity = ''] = readFileSync(tables, 'utf8').split('\n');
    assert.match(crypt, /^crypt aes-xts-plain64 [0-9a-f]{128} 0 \d+:\d+ 0 1 sector_size:4096$/);
    assert.match(verity, /^verity 1 (\d+:\d+) \1 4096 4096 \d+ \d+ sha256 [0-9a-f]{64} [0-9a-f]{64}$/);
    // Another key, salt and root hash each time.
    assert.match(await outputOf(client, request(['cat', '/top'])), /second layer/);
    const [, , again, other] = readFileSync(tables, 'utf8').split('\n');
    assert.notEqual(again?.split(' ')[2], crypt.split(' ')[2]);
    assert.notEqual(other?.split(' ')[9], verity.split(' ')[9]);
  });

  async function refused(
    client: Client,
    made: CreateContainerRequest,
    code: string,
    message: RegExp,
  ): Promise<void> {
    const before = traces();
    const answer = await answerOf(client.createContainer(made));
    assert.match(answer.message, message);
    assert.equal(answer.code, code);
    await eventually(() => assert.deepEqual(traces(), before));
  }

  it('without a disk, and with one that is too small or no disk, nothing is left', async () => {
    const client = await start();
    await refused(
      client,
      request(['true'], null),
      'FAILED_PRECONDITION',
      /no disk at \/dev\/trusted_store; help: add a block volume .* or set store = "memory"/,
    );
    await refused(
      client,
      request(['true'], small),
      'RESOURCE_EXHAUSTED',
      /does not fit on the disk .*help: attach a larger/,
    );
    assert.equal(readFileSync(tables, 'utf8'), '', 'no device was made');
    assert.ok(
      readFileSync(diskFile('small')).every((byte) => byte === 0),
      'nothing was written',
    );
  });

  it('a disk of another container is refused as scratch disk, and a scratch disk as a device', async () => {
    const client = await start();
    const first = request(['sleep', '1000']);
    await client.createContainer(first);
    await refused(client, request(['true']), 'PERMISSION_DENIED', /the disk .* is in use in the guest/);
    const second = request(['true'], small);
    addDisk(second, disk, '/dev/xvda');
    await refused(client, second, 'PERMISSION_DENIED', /the disk .* is in use in the guest/);
    await client.removeContainer({ containerId: first.containerId });
    await eventually(async () => assert.match(await outputOf(client, request(['cat', '/top'])), /second/));
  });

  it('an image survives a restart of the agent, and the next one removes it and frees the disk', async () => {
    const machine = await GuestMachine.boot('waits', imageTables());
    const mapped = (): readonly string[] => namesIn(machine.path('/dev')).filter(isMapped);
    try {
      const { setup, env } = verityStandIn(join(directory, 'tables-restart'));
      machine.run('sh', '-c', `ip link set lo up && ${setup}`);
      server = await registry.serveIn(machine.pid);
      let run = await machine.start({ env });
      await run.agent.createSandbox({ sandboxId: 'pod' });
      const made = request(['sleep', '600']);
      const { containerId } = made;
      await run.agent.createContainer(made);
      await run.agent.startContainer({ containerId });
      run.channel.close();
      await run.kill();
      run = await machine.start({ env });
      const process = processRequest(['cat', '/top']);
      await run.agent.execProcess({ containerId, execId: 'e', process });
      assert.equal((await readAll(run.agent, 'stdout', containerId, 'e')).toString(), 'second layer\n');
      await run.agent.removeContainer({ containerId });
      await eventually(() => assert.deepEqual(mapped(), []));
      run.channel.close();
      await run.kill();
    } finally {
      await machine.dispose();
    }
  });
});
