import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema, StorageSchema } from '@kata-agent/protocol/agent';
import { MountSchema } from '@kata-agent/protocol/oci';
import { AgentProcess } from '../harness/agent-process.js';
import { readAll } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { GuestComponentPrograms } from '../harness/guest-components.js';
import { eventually } from '../harness/retry.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const api = '[api]\nallowed_endpoints = ["*"]\nrelease = "4.1"\n';
const image = 'registry.example/team/app@sha256:0123';
const typeKey = 'io.kubernetes.cri.container-type';
const nameKey = 'io.kubernetes.cri.image-name';

interface PullOptions {
  readonly args?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly driverOptions?: readonly string[];
  readonly source?: string;
  readonly mountPoint?: string;
}

describe('images that the confidential data hub pulls (R18)', { skip: whyNoContainers() ?? false }, () => {
  let directory = '';
  let programs: GuestComponentPrograms;
  let agent: AgentProcess;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-test-'));
    const rootfs = makeRootfs(directory);
    const process = {
      args: ['/bin/sh', '-c', 'echo pause of the guest; exec sleep 1000'],
      cwd: '/',
      env: ['PATH=/bin'],
    };
    mkdirSync(join(directory, 'pause_bundle'));
    cpSync(rootfs, join(directory, 'pause_bundle/rootfs'), { recursive: true, verbatimSymlinks: true });
    writeFileSync(
      join(directory, 'pause_bundle/config.json'),
      JSON.stringify({ ociVersion: '1.0.2', process }),
    );
  });
  after(() => rmSync(directory, { recursive: true }));
  beforeEach(() => {
    programs = new GuestComponentPrograms();
    cpSync(join(directory, 'rootfs'), join(programs.directory, 'image'), {
      recursive: true,
      verbatimSymlinks: true,
    });
    writeFileSync(join(programs.directory, 'image/etc/from-the-image'), 'pulled\n');
  });
  afterEach(async () => {
    await agent.dispose();
    programs.dispose();
  });

  const start = async (config?: string): Promise<Awaited<ReturnType<AgentProcess['connect']>>['agent']> => {
    agent = await AgentProcess.start({ ...(config === undefined ? {} : { config }), setup: programs.setup });
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod' });
    return client;
  };
  let count = 0;
  function request(options: PullOptions = {}) {
    count += 1;
    const id = `pull-${process.pid}-${count}`;
    const annotations = { [typeKey]: 'container', [nameKey]: image, ...options.annotations };
    const args = options.args ?? ['cat', '/etc/from-the-image'];
    const base = containerRequest({ id, rootfs: `/run/kata-containers/${id}/rootfs`, args, annotations });
    const metadata = options.metadata ?? annotations;
    const made = create(CreateContainerRequestSchema, base);
    made.storages.push(
      create(StorageSchema, {
        driver: 'image_guest_pull',
        driverOptions: [...(options.driverOptions ?? [`image_guest_pull=${JSON.stringify({ metadata })}`])],
        source: options.source ?? image,
        fstype: 'overlay',
        mountPoint: options.mountPoint ?? `/run/kata-containers/${id}/rootfs`,
      }),
    );
    return made;
  }
  /** The sandbox's namespaces stay mounted until it ends. */
  const mountsOf = (): readonly string[] =>
    readFileSync(`/proc/${agent.process.pid}/mountinfo`, 'utf8')
      .split('\n')
      .filter((line) => !line.includes(' - nsfs '));
  const left = (): readonly string[] => readdirSync(`/proc/${agent.process.pid}/root/run/kata-agent/bundles`);

  const cdh = `[agent]\nimage_pull_timeout = 1\n${api}[image]\npuller = "cdh"\n`;

  it('a container has the root that was pulled, and its removal removes it', async () => {
    const client = await start(cdh);
    const before = mountsOf();
    const made = request();
    await client.createContainer(made);
    await client.startContainer({ containerId: made.containerId });
    assert.equal((await readAll(client, 'stdout', made.containerId)).toString(), 'pulled\n');
    const [call] = programs.calls('confidential-data-hub');
    assert.equal(call?.['method'], 'PullImage');
    assert.equal(call?.['imageUrl'], image);
    await client.removeContainer({ containerId: made.containerId });
    assert.deepEqual(mountsOf(), before);
    assert.deepEqual(left(), []);
  });

  const failures = [
    ['refuses', 'FAILED_PRECONDITION', /the confidential data hub: the key broker refuses/],
    ['hangs', 'DEADLINE_EXCEEDED', /has not answered for 1 s \(image_pull_timeout\)/],
    ['dies in a call', 'FAILED_PRECONDITION', /the connection was closed|has ended: exit code 7/],
  ] as const;
  for (const [behaviour, code, message] of failures)
    it(`a data hub that ${behaviour} is an error, and nothing is left`, async () => {
      const client = await start(cdh);
      const before = mountsOf();
      programs.behave('confidential-data-hub', behaviour);
      const answer = await answerOf(client.createContainer(request()));
      assert.deepEqual([answer.code, message.test(answer.message)], [code, true], answer.message);
      assert.deepEqual(mountsOf(), before);
      assert.deepEqual(left(), []);
    });

  it('a pull ends when its container is removed, and delays no other container', async () => {
    const client = await start(cdh.replace('= 1\n', '= 100\n'));
    // The first container makes the namespaces that the others join: they wait for it.
    await client.createContainer(request());
    programs.behave('confidential-data-hub', 'hangs');
    const pulling = request();
    const answer = answerOf(client.createContainer(pulling));
    await eventually(() => assert.equal(programs.calls('confidential-data-hub').length, 2));
    programs.behave('confidential-data-hub', undefined);
    const other = request();
    await client.createContainer(other);
    await client.removeContainer({ containerId: pulling.containerId });
    assert.match((await answer).message, /was cancelled: the container was removed/);
    assert.deepEqual(left().includes(pulling.containerId), false);
    assert.equal(left().length, 2);
  });

  it('a data hub that is late changes nothing of the next container with this id, and what it mounts is removed', async () => {
    const client = await start(cdh.replace('= 1\n', '= 100\n'));
    await client.createContainer(request());
    const before = mountsOf();
    programs.behave('confidential-data-hub', 'waits');
    const made = request();
    const answer = answerOf(client.createContainer(made));
    await eventually(() => assert.equal(programs.calls('confidential-data-hub').length, 2));
    await client.removeContainer({ containerId: made.containerId });
    assert.match((await answer).message, /was cancelled: the container was removed/);
    // Now it makes the directory again and mounts in it.
    programs.behave('confidential-data-hub', undefined);
    await eventually(() => assert.equal(mountsOf().length, before.length + 1));
    await client.createContainer(made);
    const [, first, second] = programs.calls('confidential-data-hub').map((call) => call['bundlePath']);
    assert.notEqual(first, second);
    await client.removeContainer({ containerId: made.containerId });
    await eventually(() => assert.deepEqual(mountsOf(), before));
    assert.equal(left().length, 1);
  });

  // confidential-dot-ai/c8s, pull request 236: ways in which a host parts an image's name from the bytes that run. Others are below.
  const pinned = `${cdh}[[api.rule]]
name = "image"
endpoints = ["CreateContainer"]
expression = 'image.from == "pulled" && container.claimed.image == "${image}"'
`;

  it('a root of the host, without a pull, is not the image that a rule demands', async () => {
    const client = await start(pinned);
    const made = request();
    made.storages = [];
    const answer = await answerOf(client.createContainer(made));
    assert.equal(answer.code, 'PERMISSION_DENIED', answer.message);
    assert.deepEqual(left(), []);
  });

  it('a storage of the sandbox at the place of a root does not replace its pull', async () => {
    agent = await AgentProcess.start({ config: pinned, setup: programs.setup });
    const { agent: client } = await agent.connect();
    const made = request();
    const [storage] = made.storages;
    for (const driver of ['bind', 'overlayfs', 'local', 'ephemeral', 'image_guest_pull']) {
      const parked = create(StorageSchema, {
        driver,
        source: driver === 'ephemeral' ? 'tmpfs' : '/run/kata-containers/shared/containers/x',
        fstype: driver === 'ephemeral' ? 'tmpfs' : 'bind',
        mountPoint: storage?.mountPoint ?? '',
      });
      const answer = await answerOf(client.createSandbox({ sandboxId: 'pod', storages: [parked] }));
      assert.notEqual(answer.code, 'OK', driver);
    }
    await client.createSandbox({ sandboxId: 'pod' });
    await client.createContainer(made);
    assert.equal(programs.calls('confidential-data-hub').length, 1);
    await client.removeContainer({ containerId: made.containerId });
  });

  it('a second storage, or options of layers, beside the pull are refused', async () => {
    const client = await start(pinned);
    for (const options of [['X-kata.multi-layer=true'], ['X-kata.overlay-lower']]) {
      const made = request();
      for (const storage of made.storages) storage.options.push(...options);
      assert.notEqual((await answerOf(client.createContainer(made))).code, 'OK', String(options));
    }
    const twice = request();
    twice.storages.push(...twice.storages);
    assert.notEqual((await answerOf(client.createContainer(twice))).code, 'OK');
    const above = request();
    above.storages.push(
      create(StorageSchema, {
        driver: 'bind',
        source: '/run/kata-containers/shared/containers/x',
        fstype: 'bind',
        mountPoint: above.storages[0]?.mountPoint ?? '',
      }),
    );
    assert.notEqual((await answerOf(client.createContainer(above))).code, 'OK');
    await eventually(() => assert.deepEqual(left(), []));
  });

  const wrong: readonly (readonly [string, PullOptions, string, RegExp])[] = [
    [
      'another image in the annotations',
      { annotations: { [nameKey]: 'other' } },
      'PERMISSION_DENIED',
      /names the image ".*", and the annotation .* names "other"/,
    ],
    [
      'another image in the metadata',
      { metadata: { [typeKey]: 'container', [nameKey]: 'other' } },
      'PERMISSION_DENIED',
      /and the metadata .* names "other"/,
    ],
    [
      'a sandbox in the metadata only',
      { metadata: { [typeKey]: 'sandbox' } },
      'PERMISSION_DENIED',
      /differ in whether the container is the sandbox's/,
    ],
    [
      'metadata that is not JSON',
      { driverOptions: ['image_guest_pull={'] },
      'INVALID_ARGUMENT',
      /is not \{"metadata"/,
    ],
    [
      'another mount point',
      { mountPoint: '/run/kata-containers/shared/containers/x' },
      'PERMISSION_DENIED',
      /is not \/run\/kata-containers\/pull/,
    ],
  ];
  for (const [what, options, code, message] of wrong)
    it(`${what} is refused before anything is pulled`, async () => {
      const client = await start(cdh);
      const answer = await answerOf(client.createContainer(request(options)));
      assert.deepEqual([answer.code, message.test(answer.message)], [code, true], answer.message);
      assert.ok(!readdirSync(programs.directory).includes('confidential-data-hub.calls'));
      assert.deepEqual(left(), []);
    });

  it('rules that are evaluated after the pull do not count the container itself', async () => {
    const rule =
      '[[api.rule]]\nname = "once"\nendpoints = ["CreateContainer"]\nexpression = "!(container.id in sandbox.containers)"\n';
    const client = await start(cdh.replace('[image]', `${rule}[image]`));
    const made = request();
    await client.createContainer(made);
    await client.removeContainer({ containerId: made.containerId });
  });

  it('without metadata the annotations decide', async () => {
    const client = await start(cdh);
    const made = request({ driverOptions: [] });
    await client.createContainer(made);
    await client.removeContainer({ containerId: made.containerId });
    assert.equal(programs.calls('confidential-data-hub')[0]?.['imageUrl'], image);
  });

  it('without a puller nothing is pulled, whatever runs in the guest', async () => {
    const client = await start(api);
    const answer = await answerOf(client.createContainer(request()));
    assert.match(answer.message, /this guest pulls no images; help: set \[image\] puller/);
    assert.equal(answer.code, 'FAILED_PRECONDITION');
  });

  it('without a configuration the data hub pulls, as with Kata’s agent', async () => {
    const client = await start();
    const made = request();
    await client.createContainer(made);
    await client.startContainer({ containerId: made.containerId });
    assert.equal((await readAll(client, 'stdout', made.containerId)).toString(), 'pulled\n');
    assert.equal(programs.calls('confidential-data-hub')[0]?.['imageUrl'], image);
    await client.removeContainer({ containerId: made.containerId });
    assert.deepEqual(left(), []);
  });

  it('without a configuration and a data hub the error names both remedies', async () => {
    agent = await AgentProcess.start();
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod' });
    const answer = await answerOf(client.createContainer(request()));
    assert.equal(answer.code, 'FAILED_PRECONDITION');
    assert.match(answer.message, /help: set \[image\] puller .* or, .*add the confidential data hub/);
  });

  it('puller = "cdh" without a data hub stops the start', async () => {
    const { code, stderr } = await AgentProcess.run({ config: cdh });
    assert.equal(code, 3, stderr);
    assert.match(stderr, /puller is \\"cdh\\", and the confidential data hub is not started/);
    agent = await AgentProcess.start({ config: api });
  });

  it('the pause container has root and process of the bundle in the guest', async () => {
    const manifest = 'schema_version = 1\n[paths]\n"pause-bundle" = "pause_bundle"\n';
    mkdirSync(join(directory, 'etc/kata-extensions'), { recursive: true });
    writeFileSync(join(directory, 'etc/kata-extensions/components.toml'), manifest);
    const root = '/run/kata-extensions/coco';
    agent = await AgentProcess.start({
      config: api,
      setup: `mkdir -p ${root} && mount --bind ${directory} ${root}`,
    });
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod' });
    const before = mountsOf();
    const pause = () =>
      request({
        source: 'pause',
        args: ['/of/the/host'],
        annotations: { [typeKey]: 'sandbox', [nameKey]: '' },
      });
    const covered = pause();
    const bin = { destination: '/bin', type: 'bind', source: '/run/kata-containers/shared/containers/x' };
    covered.OCI?.Mounts.push(create(MountSchema, { ...bin, options: ['rbind'] }));
    const answer = await answerOf(client.createContainer(covered));
    assert.equal(answer.code, 'PERMISSION_DENIED');
    assert.match(answer.message, /mount at "\/bin" of the pause container/);
    const made = pause();
    await client.createContainer(made);
    await client.startContainer({ containerId: made.containerId });
    const { data } = await client.readStdout({ containerId: made.containerId, len: 1024 });
    assert.equal(Buffer.from(data).toString(), 'pause of the guest\n');
    await client.removeContainer({ containerId: made.containerId, timeout: 10 });
    assert.deepEqual(mountsOf(), before);
  });

  it('without the bundle the pause container is an error that names it', async () => {
    const client = await start(api);
    const made = request({ source: 'pause', annotations: { [typeKey]: 'sandbox', [nameKey]: '' } });
    const answer = await answerOf(client.createContainer(made));
    assert.match(answer.message, /the pause container's bundle \/pause_bundle cannot be used: ENOENT/);
    assert.deepEqual(left(), []);
  });
});
