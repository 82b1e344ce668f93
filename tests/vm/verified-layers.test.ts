import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { clone, fromJsonString, toJsonString } from '@bufbuild/protobuf';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { readUntil } from '../harness/container-client.js';
import { layerContent, layerImage, partitionedDisk, withHashTree } from '../harness/layer-disks.js';
import { imageOf as ociImageOf, manifestType, writeLayout } from '../harness/oci-image.js';
import { answerOf } from '../harness/sweep.js';
import { type GeneratedPod, generatedPod } from './generated-pod.js';
import { usedMemory } from './guest-state.js';
import { boot, imageOf, shell, whyNoMachine } from './machine.js';
import { mega, pauseBundle, podLayers } from './pod-content.js';
import { runningGuest } from './running-guest.js';

const skip = whyNoMachine('erofs-utils-tar', 'fdisk', 'cryptsetup-bin') ?? false;

const imageName = `registry.test/team/app@sha256:${'a'.repeat(64)}`;
/** An image whose configuration pins the hash block of a layer as a device of one block. */
const trickName = `registry.test/team/trick@sha256:${'b'.repeat(64)}`;
const blockSize = 4096;

/** Reads each file, after a first line; a block that cannot be read is one line of cat. */
const script = 'cat /data-3/name; cat /data-*/file-* 2>&1 >/dev/null; echo all read; exec sleep 100000';

/** Disks of the guest by their PCI path, in the order of `disks` of the machine. */
const disks = {
  good: '10',
  changed: '11',
  swapped: '12',
  more: '13',
  trick: '14',
  onlyTricks: '15',
} as const;

describe('a confidential guest whose host brings verified layers (R18)', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-vm-layers-host-'));
  let pod: GeneratedPod;
  after(() => rmSync(directory, { recursive: true }));

  /** Makes the images and the pod; returns the paths of the layers of `app`, the base first. */
  async function makePod(): Promise<readonly string[]> {
    const layers = podLayers(directory);
    const declared = { Entrypoint: ['/bin/sh', '-c'], Cmd: [script], Env: ['PATH=/bin'], WorkingDir: '/' };
    const rootfs = { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) };
    const image = ociImageOf({ layers, config: { config: declared, rootfs } });
    const layout = join(directory, 'layout');
    writeLayout(layout, image.manifest, manifestType, [image]);
    const output = join(directory, 'layers');
    const ofSnapshotter = join(directory, 'trick.dmverity.json');
    const small = layerImage(directory, 'small', layerContent(directory, { a: 'a'.repeat(3 * blockSize) }));
    const { file, rootHash, dataBlocks } = withHashTree(small, '0'.repeat(64));
    writeFileSync(join(directory, 'one.block'), hashBlock(file, dataBlocks));
    writeFileSync(ofSnapshotter, JSON.stringify({ roothash: rootHash, hashoffset: blockSize }));
    const config = image.config.bytes;
    pod = await generatedPod(
      directory,
      [
        { name: 'app', image: imageName, config },
        { name: 'trick', image: trickName, config },
      ],
      [
        ['--snapshotter', 'erofs', '--layers', `${imageName}=${layout}`, '--layers-output', output],
        ['--layers', `${trickName}=${ofSnapshotter}`, '--layers', `${trickName}=${ofSnapshotter}`],
      ].flat(),
    );
    return readdirSync(output)
      .toSorted()
      .map((name) => join(output, name));
  }

  /**
   * Returns the first block of a layer's tree, which is behind the superblock, and room for a tree of its own. Its hash is the root
   * hash, so that it is the data of a device of one block with the same one.
   */
  function hashBlock(layer: string, dataBlocks: number): Buffer {
    const at = (dataBlocks + 1) * blockSize;
    return Buffer.concat([readFileSync(layer).subarray(at, at + blockSize), Buffer.alloc(8 * blockSize)]);
  }

  /** Writes the disks, with the topmost layer first, in the order of `disks`. */
  function makeDisks(layers: readonly string[]): readonly string[] {
    const [base = '', ...upper] = layers;
    const disk = (name: string, baseFirst: readonly string[]): string =>
      partitionedDisk(directory, name, baseFirst.toReversed());
    const good = disk('good', layers);
    const changed = join(directory, 'changed.img');
    copyFileSync(good, changed);
    const bytes = readFileSync(changed);
    // In the middle of a file, far from the block that is read first.
    const data = readFileSync(join(directory, 'data-0/data-0/file-50'));
    const at = bytes.indexOf(data.subarray(data.length / 2, data.length / 2 + 64));
    assert.ok(at > 0);
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    writeFileSync(changed, bytes);
    const [second = '', ...others] = upper;
    const trick = join(directory, 'base.block');
    writeFileSync(trick, hashBlock(base, hashOffset() / blockSize));
    const one = join(directory, 'one.block');
    return [
      good,
      changed,
      disk('swapped', [base, ...others, second]),
      disk('more', [...layers, second]),
      disk('trick', [trick, ...upper]),
      disk('only-tricks', [one, one]),
    ];
  }

  /** Of the base. */
  function hashOffset(): number {
    const options = requestFor().storages.at(-1)?.options ?? [];
    return Number(/hashoffset=(\d+)/.exec(options.join(' '))?.[1]);
  }

  const guest = runningGuest('verified-layers', async (own) => {
    const layers = await makePod();
    const config = join(directory, 'config.toml');
    // generate does not serve kubectl logs; no other line is changed.
    const from = 'allowed_endpoints = [\n';
    assert.ok(pod.configuration.includes(from));
    writeFileSync(config, pod.configuration.replace(from, `${from}  "ReadStdout",\n`));
    const image = await imageOf('verified-layers', { config, files: pauseBundle() });
    return boot(image, own, { memory: 1024, disks: makeDisks(layers) });
  });

  /** The request of the runtime, for another disk than its own. The topmost layer is the first storage. */
  function requestFor(
    disk: keyof typeof disks = 'good',
    change?: (request: CreateContainerRequest) => void,
    container = 'app',
  ): CreateContainerRequest {
    const request = clone(CreateContainerRequestSchema, pod.containers.get(container) ?? assert.fail());
    for (const storage of request.storages) storage.source = disks[disk];
    change?.(request);
    return request;
  }

  /** What a container could leave: directories, mounts, and devices of dm-verity. */
  const traces = (): Promise<string> =>
    shell(
      guest.machine,
      'cd /run/kata-containers; ls /run/kata-agent/bundles . shared/containers/passthrough /dev/mapper 2>&1; ls /sys/block; grep -v " nsfs " /proc/1/mounts; true',
    );

  async function leavesNothing(before: string): Promise<void> {
    for (let look = 0; look < 50 && (await traces()) !== before; look += 1) await delay(100);
    assert.equal(await traces(), before);
  }

  async function remove({ containerId }: CreateContainerRequest): Promise<void> {
    await guest.agent.signalProcess({ containerId, execId: containerId, signal: 9 });
    await guest.agent.removeContainer({ containerId });
  }

  it('runs the pause container of its own image, and not the layer that the host has for it', async () => {
    await guest.agent.createSandbox(pod.sandbox);
    for (const copy of pod.copies) await guest.agent.copyFile(copy);
    const { pause } = pod;
    assert.equal(pause.storages[0]?.fstype, 'erofs');
    await guest.agent.createContainer(pause);
    await guest.agent.startContainer({ containerId: pause.containerId });
    const command = await shell(guest.machine, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '");
    assert.match(command, /\/bin\/busybox sleep 123456/);
  });

  /** The request of a container that is created again: the runtime gives it another id, which its paths and those of copied files contain. */
  async function withAnotherId(request: CreateContainerRequest): Promise<CreateContainerRequest> {
    const { containerId } = request;
    const other = (text: string): string => text.replaceAll(containerId, 'f'.repeat(containerId.length));
    for (const copy of pod.copies.filter(({ path }) => path.includes(containerId)))
      await guest.agent.copyFile({ ...copy, path: other(copy.path) });
    return fromJsonString(
      CreateContainerRequestSchema,
      other(toJsonString(CreateContainerRequestSchema, request)),
    );
  }

  /** Another value of an option of one layer. */
  const option =
    (at: number, name: string, value: string) =>
    ({ storages }: CreateContainerRequest): void => {
      const layer = storages.at(at) ?? assert.fail();
      layer.options = layer.options.map((text) => (text.startsWith(`${name}=`) ? `${name}=${value}` : text));
    };
  /** Exchanges what the request says about two layers, but for the numbers of their partitions. */
  function inOtherOrder({ storages }: CreateContainerRequest): void {
    const [first, second] = [storages.at(0) ?? assert.fail(), storages.at(3) ?? assert.fail()];
    [first.options, second.options] = [second, first].map(({ options }, index) =>
      options.map((text) => text.replace(/(partition-number)=\d/, `$1=${index === 0 ? 1 : 4}`)),
    ) as [string[], string[]];
  }
  const otherLayers = /the root has other layers|rule "layers-complete" refused it/;
  const cases: readonly (readonly [
    what: string,
    disk: keyof typeof disks,
    message: RegExp,
    change?: (request: CreateContainerRequest) => void,
  ])[] = [
    ['in another order', 'swapped', otherLayers, inOtherOrder],
    ['with another root hash', 'good', otherLayers, option(-1, 'X-kata.dmverity.roothash', 'ab'.repeat(32))],
    [
      'without dm-verity',
      'good',
      /has no dm-verity/,
      ({ storages }) => {
        const base = storages.at(-1) ?? assert.fail();
        base.options = base.options.filter((text) => !text.includes('dmverity'));
      },
    ],
    [
      'and one more',
      'more',
      otherLayers,
      ({ storages }) => {
        const [top = assert.fail()] = storages;
        for (const [index, { options }] of storages.entries())
          options.splice(3, 1, `X-kata.partition-number=${index + 2}`);
        storages.unshift({ ...top, options: top.options.with(3, 'X-kata.partition-number=1') });
      },
    ],
    [
      'and the hash block of the base as a device of one block',
      'trick',
      otherLayers,
      option(-1, 'X-kata.dmverity.hashoffset', String(blockSize)),
    ],
    ['under the right values, on a disk with other content', 'swapped', /does not pass dm-verity/],
  ];
  for (const [what, disk, message, change] of cases)
    it(`refuses layers ${what}, and nothing is left`, async (t) => {
      const before = await traces();
      const began = performance.now();
      const answer = await answerOf(guest.agent.createContainer(requestFor(disk, change)));
      t.diagnostic(`refused after ${Math.round(performance.now() - began)} ms: ${answer.message}`);
      assert.equal(answer.code, 'PERMISSION_DENIED');
      assert.match(answer.message, message);
      await leavesNothing(before);
    });

  it('maps a hash block as a device if that is what is pinned: hence a pin has the number of blocks', async (t) => {
    const before = await traces();
    const answer = await answerOf(guest.agent.createContainer(requestFor('onlyTricks', undefined, 'trick')));
    t.diagnostic(answer.message);
    assert.match(answer.message, /^mount ".*lower-0": EINVAL/, 'dm-verity accepts it, and it is not EROFS');
    await leavesNothing(before);
  });

  it('runs the pod from its layers', async (t) => {
    const before = await usedMemory(guest.machine);
    const more = async (): Promise<string> => {
      const { held, cache } = await usedMemory(guest.machine);
      return `${mega(held - before.held)} MB more that the guest cannot free, ${mega(cache - before.cache)} MB of page cache`;
    };
    const request = requestFor();
    const { containerId } = request;
    const began = performance.now();
    await guest.agent.createContainer(request);
    t.diagnostic(`CreateContainer: ${Math.round(performance.now() - began)} ms; ${await more()}`);
    const started = performance.now();
    await guest.agent.startContainer({ containerId });
    assert.equal(await readUntil(guest.agent, containerId, 'all read\n'), 'data 3\nall read\n');
    t.diagnostic(`start, and 88 MB read: ${Math.round(performance.now() - started)} ms; ${await more()}`);
    const { held, cache } = await usedMemory(guest.machine);
    assert.ok(held - before.held < 45e6 && cache - before.cache > 80e6, await more());
    const mounted = await shell(guest.machine, `grep bundles/${containerId} /proc/1/mounts; true`);
    assert.match(mounted, / overlay /);
    assert.equal(mounted.match(/ erofs ro,nosuid,nodev/g)?.length, 5, mounted);
  });

  it('leaves nothing of it when the container is removed', async () => {
    await remove(requestFor());
    assert.doesNotMatch(await traces(), new RegExp(`${requestFor().containerId}|dm-|erofs`));
  });

  it('answers EIO to the reader of a changed block, and to no other', async () => {
    const before = await traces();
    const request = await withAnotherId(requestFor('changed'));
    const { containerId } = request;
    await guest.agent.createContainer(request);
    await guest.agent.startContainer({ containerId });
    const output = await readUntil(guest.agent, containerId, 'all read\n');
    assert.match(output, /^data 3\ncat: [^\n]*(?:I|Input\/output) error\nall read\n$/);
    await remove(request);
    await leavesNothing(before);
  });
});
