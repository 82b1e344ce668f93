import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { DeviceSchema, type Storage, StorageSchema } from '@kata-agent/protocol/agent';
import { readAll, readUntil } from '../harness/container-client.js';
import { cgroupParent, containerRequest, processRequest } from '../harness/container-request.js';
import { stableFootprint } from '../harness/footprint.js';
import { GuestMachine, type Run } from '../harness/guest-machine.js';
import {
  attachDisk,
  detachDisk,
  hidePartitions,
  hidePath,
  layerContent,
  layerImage,
  partitionedDisk,
  showPartitions,
  writableDisk,
} from '../harness/layer-disks.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import type { KillPoint } from '../harness/kill-point.js';
import { repository } from '../harness/repository.js';
import { answerOf } from '../harness/sweep.js';

const skip = whyNoContainers('erofs-utils', 'e2fsprogs', 'fdisk', 'util-linux') ?? false;

const kata = '/run/kata-containers';
const multi = 'X-kata.multi-layer=true';

/** Where runtime-rs puts the root of a container. */
const rootOf = (id: string): string => `${kata}/shared/containers/passthrough/${id}/rootfs`;

describe('a root of EROFS layers, as of the erofs snapshotter under runtime-rs', { skip }, () => {
  let directory = '';
  let machine: GuestMachine;
  let run: Run;
  const devices: string[] = [];
  /** Partition 1 is the topmost of three layers. */
  let layers = '';
  /** One layer without partitions, with a whole root file system. */
  let single = '';

  const attach = (file: string): string => {
    const device = attachDisk(file);
    devices.push(device);
    return device;
  };

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-erofs-'));
    const base = makeRootfs(directory);
    for (const name of ['word', 'gone', 'base']) writeFileSync(join(base, 'etc', name), 'base');
    const middle = layerContent(directory, { 'etc/word': 'middle', 'etc/middle': 'middle' });
    hidePath(middle, 'etc/gone');
    const top = layerContent(directory, { 'etc/word': 'top' });
    const images = [top, middle, base].map((content, index) =>
      layerImage(directory, `layer${index}`, content),
    );
    layers = attach(partitionedDisk(directory, 'layers', images));
    single = attach(join(directory, 'layer2.erofs'));
    machine = await GuestMachine.boot('waits', '[agent]\nhotplug_timeout = 60\n');
    run = await machine.start();
    await run.agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
  });

  after(async () => {
    run.channel.close();
    await machine.dispose();
    for (const device of devices) detachDisk(device);
    rmSync(directory, { recursive: true });
  });

  function layer(
    id: string,
    source: string,
    options: readonly string[],
    more: MessageInitShape<typeof StorageSchema> = {},
  ): Storage {
    return create(StorageSchema, {
      driver: 'blk',
      source,
      fstype: 'erofs',
      options: [multi, ...options],
      mountPoint: rootOf(id),
      ...more,
    });
  }

  const lower = (id: string, source: string = single): Storage =>
    layer(id, source, ['ro', 'X-kata.overlay-lower']);
  const upper = (id: string, source: string): Storage =>
    layer(id, source, ['rw', 'X-kata.overlay-upper'], { fstype: 'ext4' });
  const partition = (id: string, number: number): Storage =>
    layer(id, layers, [
      'X-kata.overlay-lower',
      'X-kata.gpt-partitioned=true',
      `X-kata.partition-number=${number}`,
    ]);

  const request = (id: string, script: string, storages: readonly Storage[]) => ({
    ...containerRequest({ id, rootfs: rootOf(id), args: ['sh', '-c', script] }),
    storages: [...storages],
  });

  async function outputOf(id: string, script: string, storages: readonly Storage[]): Promise<string> {
    await run.agent.createContainer(request(id, script, storages));
    await run.agent.startContainer({ containerId: id });
    const output = (await readAll(run.agent, 'stdout', id)).toString();
    await run.agent.waitProcess({ containerId: id, execId: '' });
    await run.agent.removeContainer({ containerId: id });
    return output;
  }

  const script = 'cd /etc; echo $(cat word) $(cat base) $(cat middle); [ -e gone ] || echo hidden';

  it('waits for the partitions of a disk, combines them by their numbers, and leaves nothing', async () => {
    showPartitions(layers);
    // The first container creates the pod's namespaces.
    await outputOf('first', 'true', [lower('first')]);
    const before = await stableFootprint(run.pid, cgroupParent);
    hidePartitions(layers);
    const storages = [3, 1, 2].map((number) => partition('parts', number));
    const output = outputOf('parts', script, storages);
    const isWaiting = () => run.log.some((line) => /partition \d of the disk/.test(line));
    while (!isWaiting()) await delay(10);
    showPartitions(layers);
    assert.equal(await output, 'top base middle\nhidden\n');
    assert.deepEqual(await stableFootprint(run.pid, cgroupParent), before);
  });

  it('writes to memory without a writable layer, and to a disk with one', async () => {
    const before = await stableFootprint(run.pid, cgroupParent);
    const write = 'echo written >/etc/word; cat /etc/word';
    assert.equal(await outputOf('memory', write, [lower('memory')]), 'written\n');
    const file = writableDisk(directory, 'upper');
    const disk = attach(file);
    const storages = (id: string) => [upper(id, disk), lower(id)];
    assert.equal(await outputOf('disk', write, storages('disk')), 'written\n');
    assert.equal(await outputOf('again', 'cat /etc/word', storages('again')), 'written\n');
    assert.deepEqual(await stableFootprint(run.pid, cgroupParent), before);
    const debugfs = execFileSync('debugfs', ['-R', 'cat /upper/etc/word', file], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    assert.equal(debugfs, 'written\n');
  });

  it('creates the directories that containerd names', async () => {
    const paths = ['{{ mount 0 }}/upper:0755', '{{ mount 0 }}/work:0755', '{{ mount 0 }}/upper/etc/made'];
    const options = paths.map((path) => `X-kata.mkdir.path=${path}`);
    const storage = layer('made', single, ['X-kata.overlay-lower', ...options]);
    assert.equal(await outputOf('made', '[ -d /etc/made ] && cat /etc/word', [storage]), 'base');
  });

  it('two containers have the same layer, and no container has it as a device', async () => {
    for (const id of ['one', 'two']) {
      await run.agent.createContainer(request(id, `echo ${id} >/etc/word; cat /etc/word`, [lower(id)]));
      await run.agent.startContainer({ containerId: id });
      assert.equal((await readAll(run.agent, 'stdout', id)).toString(), `${id}\n`);
    }
    const devices = [create(DeviceSchema, { id: single, type: 'blk', containerPath: '/dev/data' })];
    const answer = await answerOf(
      run.agent.createContainer({ ...request('three', 'true', [lower('three')]), devices }),
    );
    assert.equal(answer.code, 'PERMISSION_DENIED');
    assert.match(answer.message, /is in use in the guest/);
    const whole = await answerOf(
      run.agent.createContainer(
        request('four', 'true', [
          { ...lower('four'), fstype: 'ext4', options: [multi] },
          partition('four', 1),
        ]),
      ),
    );
    assert.match(whole.message, /is in use in the guest/);
    for (const containerId of ['one', 'two']) await run.agent.removeContainer({ containerId });
  });

  it('a layer that cannot be mounted leaves nothing of the others', async () => {
    const file = join(directory, 'empty.img');
    writeFileSync(file, Buffer.alloc(1 << 20));
    const empty = attach(file);
    const before = await stableFootprint(run.pid, cgroupParent);
    const answer = await answerOf(
      run.agent.createContainer(request('broken', 'true', [lower('broken'), lower('broken', empty)])),
    );
    assert.notEqual(answer.code, 'OK');
    assert.deepEqual(await stableFootprint(run.pid, cgroupParent), before);
    assert.equal(await outputOf('broken', 'cat /etc/word', [lower('broken')]), 'base');
  });

  it('a root of layers is at the place of the container itself, and unknown options are refused', async () => {
    const refused: readonly (readonly [readonly Storage[], RegExp])[] = [
      [[lower('other')], /is none where Kata's runtimes mount erofs.multi-layer/],
      [[{ ...lower('x'), mountPoint: `${kata}/sandbox/storage/v` }], /is none where Kata's runtimes mount/],
      [
        [{ ...lower('x'), options: [multi, 'X-kata.overlay-lower', 'X-kata.other=1'] }],
        /"X-kata.other=1" .* is not known/,
      ],
      [[{ ...lower('x'), options: [`ro,${multi}`] }], /in a list with commas/],
      [[{ ...lower('x'), options: ['X-kata.overlay-lower'] }], /is for layers of a root only/],
    ];
    for (const [storages, message] of refused) {
      const answer = await answerOf(run.agent.createContainer(request('x', 'true', storages)));
      assert.equal(answer.code, 'PERMISSION_DENIED', answer.message);
      assert.match(answer.message, message);
    }
    const both = await answerOf(
      run.agent.createContainer(request('x', 'true', [lower('x'), upper('x', single)])),
    );
    assert.equal(both.code, 'INVALID_ARGUMENT');
    assert.match(both.message, /is named twice|in use/);
    assert.equal(await outputOf('x', 'cat /etc/word', [lower('x')]), 'base');
  });

  it('survives a restart of the agent, and the next one removes it', async () => {
    const before = await stableFootprint(run.pid, cgroupParent);
    const disk = attach(writableDisk(directory, 'kept'));
    const layersOf = (id: string) => [upper(id, disk), lower(id)];
    await run.agent.createContainer(request('kept', 'echo ready; sleep 600', layersOf('kept')));
    await run.agent.startContainer({ containerId: 'kept' });
    await readUntil(run.agent, 'kept', 'ready');
    run.channel.close();
    await run.kill();
    run = await machine.start();
    assert.equal(await outputOf('second', 'cat /etc/word', [lower('second')]), 'base');
    const process = processRequest(['cat', '/etc/word']);
    await run.agent.execProcess({ containerId: 'kept', execId: 'e', process });
    assert.equal((await readAll(run.agent, 'stdout', 'kept', 'e')).toString(), 'base');
    assert.throws(() => claim(disk), { code: 'EBUSY' });
    await run.agent.removeContainer({ containerId: 'kept' });
    const left = await stableFootprint(run.pid, cgroupParent);
    assert.deepEqual([left.mounts, left.files], [before.mounts, before.files]);
    claim(disk);
    assert.equal(await outputOf('free', 'cat /etc/word', layersOf('free')), 'base');
  });

  for (const [point, matching] of [
    ['the first layer is mounted', '/layers/lower-0 erofs'],
    ['the last layer is mounted', '/layers/lower-2 erofs'],
    ['the layers are combined', '^overlay .* overlay '],
  ] as const) {
    it(`an agent that is killed after ${point} leaves nothing to the next one`, async () => {
      showPartitions(layers);
      const before = await stableFootprint(run.pid, cgroupParent);
      const disk = attach(writableDisk(directory, 'killed'));
      run.channel.close();
      await run.kill();
      const at: KillPoint = { call: 'mount', matching, when: 'after' };
      const node = ['--import', pathToFileURL(join(repository, 'tests/dist/harness/kill-point.js')).href];
      run = await machine.start({ node, env: { KILL_POINT: JSON.stringify(at) } });
      const storages = [upper('victim', disk), ...[1, 2, 3].map((number) => partition('victim', number))];
      const created = run.agent.createContainer(request('victim', 'true', storages));
      await assert.rejects(created);
      await run.ended;
      assert.throws(() => claim(disk), { code: 'EBUSY' });
      run = await machine.start();
      const left = await stableFootprint(run.pid, cgroupParent);
      assert.deepEqual([left.mounts, left.files], [before.mounts, before.files]);
      for (const device of [disk, layers]) claim(device);
    });
  }
});

/** Fails with EBUSY while a disk is mounted, in whatever mount namespace. */
function claim(disk: string): void {
  closeSync(openSync(disk, constants.O_RDONLY | constants.O_EXCL));
}
