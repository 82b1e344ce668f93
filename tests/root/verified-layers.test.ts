import assert from 'node:assert/strict';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type Storage, StorageSchema } from '@kata-agent/protocol/agent';
import { AgentProcess } from '../harness/agent-process.js';
import { readAll, readUntil } from '../harness/container-client.js';
import { cgroupParent, containerRequest, processRequest } from '../harness/container-request.js';
import { GuestMachine } from '../harness/guest-machine.js';
import { stableFootprint } from '../harness/footprint.js';
import {
  attachDisk,
  detachDisk,
  layerContent,
  layerImage,
  partitionedDisk,
  showPartitions,
  type VerityImage,
  verityOptions,
  verityStandIn,
  withHashTree,
  writableDisk,
} from '../harness/layer-disks.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const skip = whyNoContainers('erofs-utils', 'cryptsetup-bin', 'e2fsprogs', 'fdisk', 'util-linux') ?? false;

const kata = '/run/kata-containers';
const rootOf = (id: string): string => `${kata}/shared/containers/passthrough/${id}/rootfs`;
const typeKey = 'io.kubernetes.cri.container-type';

const pin = ({ rootHash, salt, dataBlocks }: VerityImage): string => `${rootHash}/${salt}/${dataBlocks}`;

function configuration(expression: string, api = '[api]\nallowed_endpoints = ["*"]\n'): string {
  return `${api}[[api.rule]]\nname = "layers"\nendpoints = ["CreateContainer"]\nexpression = '''${expression}'''\n[image]\nlayers = "verified"\n`;
}

describe('a root of verified layers, [image] layers = "verified" (R18)', { skip }, () => {
  let directory = '';
  let base: VerityImage;
  let top: VerityImage;
  let more: VerityImage;
  /** Disks with partitions: top and base, the same in the other order, and three. */
  let good = '';
  let swapped = '';
  let three = '';
  /** Of one layer without partitions and without dm-verity. */
  let plain = '';
  /** The hash block of the base as a device of one block. */
  let trick = '';
  let writable = '';
  const devices: string[] = [];
  const agents: AgentProcess[] = [];

  const attach = (file: string): string => {
    const device = attachDisk(file);
    devices.push(device);
    return device;
  };
  const attachParts = (name: string, images: readonly VerityImage[]): string => {
    const device = attach(
      partitionedDisk(
        directory,
        name,
        images.map(({ file }) => file),
      ),
    );
    showPartitions(device);
    return device;
  };

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-verified-'));
    const rootfs = makeRootfs(directory);
    writeFileSync(join(rootfs, 'etc/word'), 'base');
    mkdirSync(join(directory, 'pause_bundle'));
    cpSync(rootfs, join(directory, 'pause_bundle/rootfs'), { recursive: true, verbatimSymlinks: true });
    const args = ['/bin/sh', '-c', 'echo pause of the guest; exec sleep 1000'];
    writeFileSync(
      join(directory, 'pause_bundle/config.json'),
      JSON.stringify({ ociVersion: '1.0.2', process: { args, cwd: '/', env: ['PATH=/bin'] } }),
    );
    mkdirSync(join(directory, 'etc/kata-extensions'), { recursive: true });
    writeFileSync(
      join(directory, 'etc/kata-extensions/components.toml'),
      'schema_version = 1\n[paths]\n"pause-bundle" = "pause_bundle"\n',
    );
    const image = (name: string, content: string) => withHashTree(layerImage(directory, name, content));
    base = image('base', rootfs);
    top = image('top', layerContent(directory, { 'etc/word': 'top' }));
    more = image('more', layerContent(directory, { 'etc/word': 'more' }));
    good = attachParts('good', [top, base]);
    swapped = attachParts('swapped', [base, top]);
    three = attachParts('three', [more, top, base]);
    plain = attach(layerImage(directory, 'plain', layerContent(directory, { 'etc/word': 'plain' })));
    writable = attach(writableDisk(directory, 'upper'));
    // A tree of at most 128 blocks is one hash block, behind the superblock.
    const small = withHashTree(
      layerImage(directory, 'small', layerContent(directory, { a: 'a'.repeat(9000) })),
    );
    const bytes = readFileSync(small.file);
    const at = (small.dataBlocks + 1) * 4096;
    const file = join(directory, 'trick.img');
    writeFileSync(file, Buffer.concat([bytes.subarray(at, at + 4096), Buffer.alloc(8 * 4096)]));
    trick = attach(file);
    trickHash = small.rootHash;
  });
  let trickHash = '';

  after(async () => {
    for (const agent of agents) await agent.dispose();
    for (const device of devices) detachDisk(device);
    rmSync(directory, { recursive: true });
  });

  let count = 0;
  async function start(expression: string, swap?: readonly [string, string]) {
    count += 1;
    const tables = join(directory, `tables-${count}`);
    writeFileSync(tables, '');
    const standIn = verityStandIn(tables, swap);
    const root = '/run/kata-extensions/coco';
    const agent = await AgentProcess.start({
      config: configuration(expression),
      setup: `${standIn.setup} && mkdir -p ${root} && mount --bind ${directory} ${root}`,
      env: standIn.env,
    });
    agents.push(agent);
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod' });
    const pause = containerRequest({
      id: `pause-${count}`,
      rootfs: rootOf(`pause-${count}`),
      args: ['/of/the/host'],
      annotations: { [typeKey]: 'sandbox' },
    });
    // No such disk is attached: the agent does not even wait for it.
    const storage = create(StorageSchema, {
      driver: 'blk',
      source: '1e/1f',
      fstype: 'erofs',
      options: ['ro', 'X-kata.multi-layer=true', 'X-kata.overlay-lower'],
      mountPoint: rootOf(`pause-${count}`),
    });
    await client.createContainer({ ...pause, storages: [storage] });
    await client.startContainer({ containerId: `pause-${count}` });
    const pod = {
      agent,
      client,
      tables: () => readFileSync(tables, 'utf8').trimEnd().split('\n'),
      /** The agent is the process that was spawned: unshare and sh execute it. */
      left: async () => ({
        ...(await stableFootprint(agent.process.pid ?? 0, cgroupParent)),
        mapped: readdirSync(`/proc/${agent.process.pid}/root/dev`).filter((name) =>
          /^(?:dm|below|stand-in)-/.test(name),
        ),
      }),
    };
    return pod;
  }

  type Pod = Awaited<ReturnType<typeof start>>;

  function layer(
    id: string,
    source: string,
    options: readonly string[],
    other: MessageInitShape<typeof StorageSchema> = {},
  ): Storage {
    return create(StorageSchema, {
      driver: 'blk',
      source,
      fstype: 'erofs',
      options: ['X-kata.multi-layer=true', 'X-kata.overlay-lower', ...options],
      mountPoint: rootOf(id),
      ...other,
    });
  }
  const part = (number: number): readonly string[] => [
    'X-kata.gpt-partitioned=true',
    `X-kata.partition-number=${number}`,
  ];
  const parts = (id: string, disk: string, images: readonly VerityImage[]): readonly Storage[] =>
    images.map((image, index) => layer(id, disk, [...part(index + 1), ...verityOptions(image)]));

  const request = (id: string, storages: readonly Storage[], script = 'cat /etc/word') => ({
    ...containerRequest({ id, rootfs: rootOf(id), args: ['sh', '-c', script] }),
    storages: [...storages],
  });

  async function outputOf(
    { client }: Pod,
    id: string,
    storages: readonly Storage[],
    script?: string,
  ): Promise<string> {
    await client.createContainer(request(id, storages, script));
    await client.startContainer({ containerId: id });
    const output = (await readAll(client, 'stdout', id)).toString();
    await client.waitProcess({ containerId: id, execId: '' });
    await client.removeContainer({ containerId: id });
    return output;
  }

  async function refused(
    pod: Pod,
    what: string,
    storages: readonly Storage[],
    message: RegExp,
  ): Promise<void> {
    const before = await pod.left();
    const answer = await answerOf(pod.client.createContainer(request('x', storages)));
    assert.equal(answer.code, 'PERMISSION_DENIED', `${what}: ${answer.message}`);
    assert.match(answer.message, message, what);
    assert.deepEqual(await pod.left(), before, `${what}: something is left`);
  }

  const exact = (): string =>
    `image.from == "pause_bundle" || verified_layers == ${JSON.stringify([pin(base), pin(top)])}`;
  /** A rule that pins nothing, so that the guest itself refuses. */
  const loose = 'verified_layers.size() >= 0';

  it('the pod runs from its layers and the pause container of the guest, and nothing is left', async () => {
    const pod = await start(exact());
    const { data } = await pod.client.readStdout({ containerId: `pause-${count}`, len: 1024 });
    assert.equal(Buffer.from(data).toString(), 'pause of the guest\n');
    assert.deepEqual(pod.tables(), [''], 'the layer that the host has for the pause container is not used');
    const before = await pod.left();
    const write = 'cat /etc/word; echo written >/etc/word; cat /etc/word';
    assert.equal(await outputOf(pod, 'app', parts('app', good, [top, base]), write), 'topwritten\n');
    assert.equal(
      await outputOf(pod, 'again', parts('again', good, [top, base])),
      'top',
      'the upper is fresh',
    );
    assert.deepEqual(await pod.left(), before);
    // Format 1, SHA-256, blocks of 4096 bytes, and no options behind the salt.
    for (const table of pod.tables())
      assert.match(table, /^verity 1 \d+:\d+ \d+:\d+ 4096 4096 \d+ \d+ sha256 [0-9a-f]{64} 00ff$/);
  });

  it('layers that the rule does not pin are refused, and nothing is left', async () => {
    const pod = await start(exact());
    const salt = (image: VerityImage) => ({ ...image, salt: '00fe' });
    const denied = /rule "layers" refused it/;
    const wrong: readonly (readonly [string, readonly Storage[], RegExp])[] = [
      [
        'without dm-verity',
        [...parts('x', good, [top]), layer('x', good, part(2))],
        /one of them has no dm-verity/,
      ],
      ['another order', parts('x', swapped, [base, top]), denied],
      ['one more', parts('x', three, [more, top, base]), denied],
      ['one fewer', parts('x', good, [top]), denied],
      ['another root hash', parts('x', good, [top, { ...base, rootHash: top.rootHash }]), denied],
      ['another salt', parts('x', good, [top, salt(base)]), denied],
      ['another count', parts('x', good, [top, { ...base, dataBlocks: base.dataBlocks - 1 }]), denied],
      [
        'the hash block as the device',
        [layer('x', trick, verityOptions({ ...base, rootHash: trickHash, dataBlocks: 1 }))],
        denied,
      ],
      [
        'mounted elsewhere',
        parts('x', good, [top, base]).map((each) => ({ ...each, mountPoint: `${kata}/sandbox/storage/x` })),
        /mounted at/,
      ],
      [
        'one of them mounted elsewhere',
        parts('x', good, [top, base]).map((each, index) =>
          index === 0 ? each : { ...each, mountPoint: `${rootOf('x')}/usr` },
        ),
        /mounted elsewhere/,
      ],
      [
        'md5',
        parts('x', good, [top, base]).map((each) => ({
          ...each,
          options: [...each.options, 'X-kata.dmverity.algorithm=md5'],
        })),
        /algorithm=md5/,
      ],
      [
        'an upper of the host',
        [
          ...parts('x', good, [top, base]),
          layer('x', writable, [], {
            fstype: 'ext4',
            options: ['X-kata.multi-layer=true', 'X-kata.overlay-upper'],
          }),
        ],
        /takes the writes, a disk of the host/,
      ],
      [
        'a disk above the layers',
        [
          ...parts('x', good, [top, base]),
          layer('x', plain, [], { options: ['ro'], mountPoint: `${kata}/x/rootfs` }),
        ],
        /is none of them/,
      ],
      ['a root of the host', [], /it has none/],
    ];
    for (const [what, storages, message] of wrong) await refused(pod, what, storages, message);
    assert.deepEqual(pod.tables(), [''], 'no device was made');
    assert.equal(await outputOf(pod, 'x', parts('x', good, [top, base])), 'top');
  });

  it('the guest itself refuses what is not a root of verified layers, whatever the rules say', async () => {
    const pod = await start(loose);
    await refused(pod, 'plain', [layer('x', plain, [])], /no dm-verity/);
    const unruled = /must consist of verified layers|the root is no verified layers/;
    await refused(pod, 'a root of the host', [], unruled);
    const wrongHash = { ...base, rootHash: top.rootHash };
    await refused(pod, 'a wrong root hash', parts('x', good, [top, wrongHash]), /does not pass dm-verity/);
    await refused(
      pod,
      'a wrong salt',
      parts('x', good, [top, { ...base, salt: '00fe' }]),
      /does not pass dm-verity/,
    );
    // Why rules pin the count: under the same root hash the hash block is the data of a device of one block.
    const before = await pod.left();
    const one = layer('x', trick, verityOptions({ ...base, rootHash: trickHash, dataBlocks: 1 }));
    const answer = await answerOf(pod.client.createContainer(request('x', [one])));
    assert.doesNotMatch(answer.message, /does not pass dm-verity/, 'it verifies, and is no EROFS');
    assert.notEqual(answer.code, 'OK');
    assert.deepEqual(await pod.left(), before);
  });

  it('a disk whose content changed is refused, and nothing is left', async () => {
    const file = join(directory, 'changed.img');
    copyFileSync(join(directory, 'good.img'), file);
    const disk = attach(file);
    showPartitions(disk);
    const pod = await start(exact());
    const bytes = readFileSync(file);
    const at = bytes.indexOf('top');
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    writeFileSync(file, bytes);
    await refused(pod, 'changed', parts('x', disk, [top, base]), /does not pass dm-verity/);
  });

  it('survives a restart of the agent, and the next one removes it', async () => {
    const machine = await GuestMachine.boot('waits', configuration(loose, ''));
    try {
      const tables = join(directory, 'tables-restart');
      const { setup, env } = verityStandIn(tables);
      machine.run('sh', '-c', setup);
      let run = await machine.start({ env });
      const root = rootOf('kept');
      await run.agent.createSandbox({ sandboxId: 'pod' });
      const before = await stableFootprint(run.pid, cgroupParent);
      await run.agent.createContainer(
        request('kept', parts('kept', good, [top, base]), 'echo ready; sleep 600'),
      );
      await run.agent.startContainer({ containerId: 'kept' });
      await readUntil(run.agent, 'kept', 'ready');
      assert.equal(existsSync(machine.path(root)), false, 'the root is at no path of the request');
      run.channel.close();
      await run.kill();
      run = await machine.start({ env });
      const process = processRequest(['cat', '/etc/word']);
      await run.agent.execProcess({ containerId: 'kept', execId: 'e', process });
      assert.equal((await readAll(run.agent, 'stdout', 'kept', 'e')).toString(), 'top');
      await run.agent.removeContainer({ containerId: 'kept' });
      const left = await stableFootprint(run.pid, cgroupParent);
      assert.deepEqual([left.mounts, left.files], [before.mounts, before.files]);
      assert.deepEqual(
        readdirSync(machine.path('/dev')).filter((name) => /^(?:dm|below|stand-in)-/.test(name)),
        [],
      );
      run.channel.close();
      await run.kill();
    } finally {
      await machine.dispose();
    }
  });

  it('a disk that is replaced after it was checked is not used', async () => {
    const node = `${good}p1`;
    const pod = await start(exact(), [node, plain]);
    assert.equal(await outputOf(pod, 'app', parts('app', good, [top, base])), 'top');
    const [major, minor] = readFileSync(`/sys/class/block/${basename(node)}/dev`, 'utf8')
      .trim()
      .split(':');
    assert.ok(pod.tables()[0]?.startsWith(`verity 1 ${major}:${minor} `), pod.tables().join('\n'));
    const inGuest = `/proc/${pod.agent.process.pid}/root${node}`;
    assert.notEqual(statSync(inGuest).rdev, statSync(node).rdev, 'the node is that of another disk');
  });
});
