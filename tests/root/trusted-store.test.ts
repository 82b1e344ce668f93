import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { MountSchema } from '@kata-agent/protocol/oci';
import { AgentProcess } from '../harness/agent-process.js';
import { outputOf } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { GuestComponentPrograms } from '../harness/guest-components.js';
import { GuestMachine } from '../harness/guest-machine.js';
import { attachDisk, detachDisk } from '../harness/layer-disks.js';
import { eventually } from '../harness/retry.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { addDisk, guestPull } from '../harness/pulled-image.js';
import { answerOf } from '../harness/sweep.js';

const image = 'registry.example/team/app@sha256:0123';
const scratch = '/dev/trusted_store';
const hostRoot = '/run/kata-containers/shared/containers/host/rootfs';
const hub = 'confidential-data-hub';
const tables = (agent = ''): string =>
  `[agent]\ncdh_api_timeout = 1\n${agent}[image]\npuller = "cdh"\nstore = "encrypted-disk"\n`;
const api = '[api]\nallowed_endpoints = ["*"]\nrelease = "4.1"\n';

describe('images of the data hub on an encrypted disk, [image] store = "encrypted-disk" (R18)', {
  skip: whyNoContainers('util-linux') ?? false,
}, () => {
  let directory = '';
  let programs: GuestComponentPrograms;
  let agent: AgentProcess | undefined;
  let disk = '';
  let other = '';
  const devices: string[] = [];
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-trusted-'));
    makeRootfs(directory);
    [disk, other] = [attach('disk'), attach('other')];
  });
  after(() => {
    for (const each of devices) detachDisk(each);
    rmSync(directory, { recursive: true });
  });
  beforeEach(() => {
    programs = new GuestComponentPrograms();
    const target = join(programs.directory, 'image');
    cpSync(join(directory, 'rootfs'), target, { recursive: true, verbatimSymlinks: true });
    writeFileSync(join(target, 'etc/from-the-image'), 'pulled\n');
  });
  afterEach(async () => {
    await agent?.dispose();
    agent = undefined;
    programs.dispose();
  });

  function attach(name: string): string {
    const file = join(directory, `${name}.img`);
    writeFileSync(file, '');
    truncateSync(file, 1024 * 1024);
    const device = attachDisk(file);
    devices.push(device);
    return device;
  }

  type Client = Awaited<ReturnType<AgentProcess['connect']>>['agent'];

  async function start(config: string = tables() + api): Promise<Client> {
    return await startWith({ config });
  }

  async function startWith(options: { readonly config?: string }): Promise<Client> {
    const setup = `${programs.setup} && mkdir -p ${hostRoot} && mount --bind ${directory}/rootfs ${hostRoot}`;
    agent = await AgentProcess.start({ ...options, setup });
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod' });
    return client;
  }

  let count = 0;
  function request(
    source: string | undefined,
    { args = ['cat', '/etc/from-the-image'], pulls = true, name = '' } = {},
  ): CreateContainerRequest {
    count += 1;
    const own = pulls ? `trusted-${process.pid}-${count}` : 'host';
    const id = name === '' ? own : name;
    const annotations = {
      'io.kubernetes.cri.container-type': 'container',
      'io.kubernetes.cri.image-name': image,
    };
    const rootfs = pulls ? `/run/kata-containers/${id}/rootfs` : hostRoot;
    const made = create(CreateContainerRequestSchema, containerRequest({ id, rootfs, args, annotations }));
    if (pulls) made.storages.push(guestPull(image, rootfs, annotations));
    if (source !== undefined) addDisk(made, source, scratch);
    return made;
  }

  const numberOf = (path: string): string => {
    const { rdev } = statSync(path);
    return `${rdev >> 8}:${rdev & 0xff}`;
  };
  const methods = (): readonly unknown[] =>
    existsSync(join(programs.directory, `${hub}.calls`))
      ? programs.calls(hub).map(({ method }) => method)
      : [];
  const root = (path: string): string => `/proc/${agent?.process.pid ?? 0}/root${path}`;
  const traces = (): unknown => ({
    mounts: readFileSync(`/proc/${agent?.process.pid ?? 0}/mountinfo`, 'utf8')
      .split('\n')
      .filter((line) => line.includes(' /run/kata-') && !line.includes(' - nsfs ')),
    bundles: readdirSync(root('/run/kata-agent/bundles')),
    kata: readdirSync(root('/run/kata-containers')),
  });

  async function refused(
    client: Client,
    made: CreateContainerRequest,
    code: string,
    message: RegExp,
  ): Promise<void> {
    const found = traces();
    const answer = await answerOf(client.createContainer(made));
    assert.match(answer.message, message);
    assert.equal(answer.code, code);
    await eventually(() => assert.deepEqual(traces(), found));
  }

  it('the disk is mounted before the first pull, as Kata asks for it, and its container has no node of it', async () => {
    const client = await start();
    const text = await outputOf(client, request(disk, { args: ['sh', '-c', 'cat /etc/from*; ls /dev'] }));
    assert.match(text, /^pulled\n/);
    assert.doesNotMatch(text, /trusted_store/);
    assert.deepEqual(methods(), ['SecureMount', 'PullImage']);
    const [mount] = programs.calls(hub);
    assert.deepEqual(mount, {
      method: 'SecureMount',
      volumeType: 'block-device',
      options: {
        deviceId: numberOf(disk),
        sourceType: 'empty',
        targetType: 'fileSystem',
        filesystemType: 'ext4',
        mkfsOpts: '-E lazy_journal_init',
        encryptionType: 'luks2',
        dataIntegrity: 'true',
      },
      flags: [],
      mountPoint: '/run/kata-containers/image/',
    });
    // It is everyone's: later containers bring none, or the same one.
    assert.equal(await outputOf(client, request(undefined)), 'pulled\n');
    assert.equal(await outputOf(client, request(disk)), 'pulled\n');
    assert.deepEqual(methods(), ['SecureMount', 'PullImage', 'PullImage', 'PullImage']);
  });

  it('without a configuration the disk is mounted with the first container that brings it, as with Kata’s agent', async () => {
    const client = await startWith({});
    assert.equal(await outputOf(client, request(undefined)), 'pulled\n');
    assert.deepEqual(methods(), ['PullImage']);
    const text = await outputOf(client, request(disk, { args: ['sh', '-c', 'cat /etc/from*; ls /dev'] }));
    assert.match(text, /^pulled\n/);
    assert.doesNotMatch(text, /trusted_store/);
    assert.equal(await outputOf(client, request(undefined)), 'pulled\n');
    assert.deepEqual(methods(), ['PullImage', 'SecureMount', 'PullImage', 'PullImage']);
  });

  it('secure_storage_integrity is part of the request', async () => {
    const client = await start(tables('secure_storage_integrity = false\n') + api);
    await client.createContainer(request(disk));
    const options = programs.calls(hub)[0]?.['options'] as Readonly<Record<string, string>>;
    assert.equal(options['dataIntegrity'], 'false');
  });

  it('without a disk the first container is refused, and nothing is pulled', async () => {
    const client = await start();
    const message = /no disk at \/dev\/trusted_store; help: add a block volume .* or set store = "memory"/;
    await refused(client, request(undefined), 'FAILED_PRECONDITION', message);
    assert.deepEqual(methods(), []);
    const host = request(disk, { pulls: false });
    await refused(client, host, 'INVALID_ARGUMENT', /its image is not pulled; help: attach it to/);
  });

  it('the disk is exclusive, and another one is refused', async () => {
    const client = await start();
    await outputOf(client, request(disk));
    const second =
      /the disk .* is another one than that on which the data hub keeps all images; help: give one/;
    await refused(client, request(other), 'PERMISSION_DENIED', second);
    const device = request(undefined);
    addDisk(device, disk, '/dev/xvda');
    await refused(client, device, 'PERMISSION_DENIED', /the disk .* is in use in the guest/);
    const free = request(undefined);
    addDisk(free, other, '/dev/xvda');
    await client.createContainer(free);
  });

  it('no container gets the directory of the store', async () => {
    const client = await start();
    await client.createContainer(request(disk));
    const source = '/run/kata-containers/image/layers';
    const mount = create(MountSchema, { destination: '/x', type: 'bind', source, options: ['rbind'] });
    for (const [name, message] of [
      ['image', /container id "image" is reserved/],
      ['', /is not a path that Kata's runtimes use for sources/],
    ] as const) {
      const made = request(undefined, { name });
      made.OCI?.Mounts.push(mount);
      const { code, message: answered } = await answerOf(client.createContainer(made));
      assert.match(`${code} ${answered}`, message);
    }
  });

  it('a data hub that stores its images elsewhere is in the log', async () => {
    const client = await start();
    const unused = /keeps nothing on the disk for images; help: write work_dir = /;
    const warnings = (): number => (agent?.log ?? []).filter((line) => unused.test(line)).length;
    await client.createContainer(request(disk));
    await eventually(() => assert.equal(warnings(), 1));
    mkdirSync(root('/run/kata-containers/image/layers'));
    assert.equal(await outputOf(client, request(undefined)), 'pulled\n');
    assert.equal(warnings(), 1);
  });

  it('a disk that a container has is not mounted', async () => {
    const client = await start();
    const both = request(disk);
    addDisk(both, disk, '/dev/xvda');
    await refused(client, both, 'PERMISSION_DENIED', /the disk .* is a device of container/);
    assert.deepEqual(methods(), []);
  });

  const failures = [
    ['refuses', 'FAILED_PRECONDITION', /cannot be mounted encrypted: .*the key broker refuses/],
    ['hangs', 'DEADLINE_EXCEEDED', /has not answered for 1 s \(cdh_api_timeout\)/],
    ['dies in a call', 'FAILED_PRECONDITION', /the connection was closed|has ended: exit code 7/],
  ] as const;
  for (const [behaviour, code, message] of failures)
    it(`a data hub that ${behaviour} is an error, nothing is pulled, and the disk is free`, async () => {
      const client = await start();
      programs.behave(hub, behaviour);
      await refused(client, request(disk), code, message);
      assert.deepEqual(methods(), ['SecureMount']);
      if (behaviour === 'dies in a call') return;
      programs.behave(hub, undefined);
      assert.equal(await outputOf(client, request(other)), 'pulled\n');
      const device = request(undefined);
      addDisk(device, disk, '/dev/xvda');
      await client.createContainer(device);
    });

  it('a data hub that mounts the disk late has mounted the store', async () => {
    const client = await start();
    programs.behave(hub, 'waits');
    await refused(client, request(disk), 'DEADLINE_EXCEEDED', /cdh_api_timeout/);
    programs.behave(hub, undefined);
    await eventually(() => assert.ok(readdirSync(root('/run/kata-containers')).includes('image')));
    await eventually(async () => assert.equal(await outputOf(client, request(undefined)), 'pulled\n'));
    assert.deepEqual(methods(), ['SecureMount', 'PullImage']);
  });

  it('containers that come together wait for one mount, but not longer than they exist', async () => {
    const client = await start(tables().replace('= 1\n', '= 100\n') + api);
    // The first container makes the namespaces that the others join: they wait for it.
    await client.createContainer(request(undefined, { pulls: false }));
    programs.behave(hub, 'waits');
    const first = client.createContainer(request(disk));
    await eventually(() => assert.equal(methods().length, 1));
    const second = client.createContainer(request(disk));
    const third = request(undefined);
    const { containerId } = third;
    const removed = answerOf(client.createContainer(third));
    await eventually(() => assert.ok(readdirSync(root('/run/kata-agent/bundles')).includes(containerId)));
    await client.removeContainer({ containerId });
    assert.match((await removed).message, /was cancelled: the container was removed/);
    assert.equal(methods().length, 1);
    programs.behave(hub, undefined);
    await Promise.all([first, second]);
    assert.deepEqual(methods(), ['SecureMount', 'PullImage', 'PullImage']);
  });

  it('with store = "memory" the disk is a device of its container', async () => {
    const client = await start(tables().replace('store = "encrypted-disk"\n', '') + api);
    const text = await outputOf(client, request(disk, { args: ['sh', '-c', 'ls /dev'] }));
    assert.match(text, /trusted_store/);
    assert.deepEqual(methods(), ['PullImage']);
  });

  it('the next agent finds it mounted', async () => {
    const machine = await GuestMachine.boot('waits', tables());
    try {
      machine.run('sh', '-c', programs.setup);
      let run = await machine.start({});
      await run.agent.createSandbox({ sandboxId: 'pod' });
      const made = request(disk);
      await run.agent.createContainer(made);
      run.channel.close();
      await run.kill();
      run = await machine.start({});
      await run.agent.removeContainer({ containerId: made.containerId });
      assert.equal(await outputOf(run.agent, request(undefined)), 'pulled\n');
      assert.deepEqual(methods(), ['SecureMount', 'PullImage', 'PullImage']);
      run.channel.close();
      await run.kill();
    } finally {
      await machine.dispose();
    }
  });
});
