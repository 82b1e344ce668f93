import assert from 'node:assert/strict';
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  DeviceSchema,
} from '@kata-agent/protocol/agent';
import { LinuxDeviceSchema } from '@kata-agent/protocol/oci';
import { hostAddress } from '@kata-agent/tool-vm/machine/run';
import { readAll, readUntil } from '../harness/container-client.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { DockerRegistry, registryPassword, registryUser } from '../harness/docker-registry.js';
import { imageOf as ociImageOf, manifestType, type TestImage, writeLayout } from '../harness/oci-image.js';
import { guestPull } from '../harness/pulled-image.js';
import { answerOf } from '../harness/sweep.js';
import { writeGuestFiles } from './generated-pod.js';
import { usedMemory } from './guest-state.js';
import { boot, imageOf, shell, whyNoMachine } from './machine.js';
import { mega, pauseBundle, podLayers } from './pod-content.js';
import { runningGuest } from './running-guest.js';
import { namedFiles } from '@kata-agent/tool-guest-image/tree/guest-tree';

const skip = whyNoMachine('docker-registry', 'skopeo', 'erofs-utils') ?? false;
/** Of the registry, in the guest's /etc/hosts. */
const registryName = 'registry.test';
const toml = JSON.stringify;
const MiB = 1024 * 1024;

/** Disks of the guest by their PCI path, in the order of `disks` of the machine. */
const disks = { good: '10', small: '11' } as const;

/** Reads each file, after a first line; a block that cannot be read is one line of cat. */
const script = 'cat /data-3/name; cat /data-*/file-* 2>&1 >/dev/null; echo all read; exec sleep 100000';

for (const store of ['memory', 'encrypted-disk'] as const)
  describe(`images that the guest pulls, [image] store = ${toml(store)} (R18)`, { skip }, () => {
    const directory = mkdtempSync(join(tmpdir(), 'kata-vm-store-host-'));
    const images: Record<string, TestImage> = {};
    let registry: DockerRegistry | undefined;
    let host = '';
    after(async () => {
      await registry?.stop();
      rmSync(directory, { recursive: true });
    });

    async function fillRegistry(): Promise<DockerRegistry> {
      const made = await DockerRegistry.start([registryName]);
      host = `${registryName}:${made.host.split(':')[1] ?? ''}`;
      const layers = podLayers(directory);
      const add = (name: string, image: TestImage): void => {
        images[name] = image;
        writeLayout(join(directory, name), image.manifest, manifestType, [image]);
        made.push(`oci:${join(directory, name)}:x`, `team/${name}:x`);
      };
      add('app', ociImageOf({ layers }));
      add('small', ociImageOf({ layers: layers.slice(0, 1) }));
      return made;
    }

    const diskFile = (name: keyof typeof disks): string => join(directory, `${name}.img`);

    const guest = runningGuest(`store-${store}`, async (own) => {
      registry = await fillRegistry();
      const config = join(directory, 'config.toml');
      writeFileSync(
        config,
        `[api]
allowed_endpoints = ["*"]
release = "4.1"
[agent]
guest_components_procs = "none"
[image]
puller = "built-in"
registries = ["${host}/team/*"]
registry_ca = "/etc/kata-agent/registry-ca.pem"
credentials = "/etc/kata-agent/registry-auth.json"
insecure_static_credentials = true
require_digest = true
max_size = "192MiB"
store = ${toml(store)}
`,
      );
      const root = join(directory, 'root');
      const auth = Buffer.from(`${registryUser}:${registryPassword}`).toString('base64');
      writeGuestFiles(root, {
        '/etc/kata-agent/registry-ca.pem': registry.ca,
        '/etc/kata-agent/registry-auth.json': JSON.stringify({ auths: { [host]: { auth } } }),
      });
      const files = [
        ...namedFiles(config, root),
        ...pauseBundle(),
        {
          path: '/etc/hosts',
          data: Buffer.from(`127.0.0.1 localhost\n${hostAddress} ${registryName}\n`),
          mode: 0o644,
        },
      ];
      for (const [name, size] of [
        ['good', 256 * MiB],
        ['small', MiB],
      ] as const) {
        writeFileSync(diskFile(name), '');
        truncateSync(diskFile(name), size);
      }
      const image = await imageOf(store, { config, files, with: ['image-pull', 'image-disk'] });
      return boot(image, own, {
        memory: 1024,
        reach: [Number(host.split(':')[1])],
        disks: [diskFile('good'), diskFile('small')],
      });
    });

    let count = 0;
    function request(
      name: string,
      args: readonly string[],
      disk: keyof typeof disks | null = store === 'memory' ? null : 'good',
    ): CreateContainerRequest {
      count += 1;
      const id = `stored-${count}`;
      const source = `${host}/team/${name}@${images[name]?.manifest.digest ?? ''}`;
      const annotations = {
        'io.kubernetes.cri.container-type': 'container',
        'io.kubernetes.cri.image-name': source,
      };
      const rootfs = `/run/kata-containers/${id}/rootfs`;
      const made = create(CreateContainerRequestSchema, containerRequest({ id, rootfs, args, annotations }));
      made.storages.push(guestPull(source, rootfs, annotations));
      if (disk === null) return made;
      const path = '/dev/trusted_store';
      made.devices.push(create(DeviceSchema, { type: 'blk', id: disks[disk], containerPath: path }));
      made.OCI?.Linux?.Devices.push(
        create(LinuxDeviceSchema, { Path: path, Type: 'b', Major: 259n, Minor: 7n, FileMode: 0o660 }),
      );
      return made;
    }

    /** What a container could leave: directories, mounts, processes, and mapped devices. */
    const traces = (): Promise<string> =>
      shell(
        guest.machine,
        'ls /run/kata-agent/bundles /run/kata-agent/mounting /run/kata-containers; ls /sys/block; grep -v " nsfs " /proc/1/mounts; cat /proc/[0-9]*/status 2>/dev/null | awk \'/^Uid/ && $2 > 2000000000\'; true',
      );

    async function leavesNothing(before: string): Promise<void> {
      for (let look = 0; look < 50 && (await traces()) !== before; look += 1) await delay(100);
      assert.equal(await traces(), before);
    }

    async function remove({ containerId }: CreateContainerRequest): Promise<void> {
      await guest.agent.signalProcess({ containerId, execId: containerId, signal: 9 });
      await guest.agent.removeContainer({ containerId });
    }

    /** In bytes. */
    const available = async (): Promise<number> =>
      1024 * Number(/(\d+) kB/.exec(await shell(guest.machine, 'grep MemAvailable /proc/meminfo'))?.[1]);

    async function startSampling(): Promise<void> {
      const loop = 'while test -e /run/sampling; do grep MemAvailable /proc/meminfo; sleep 0.3; done';
      await shell(
        guest.machine,
        `touch /run/sampling; (${loop}) </dev/null >/run/samples 2>/dev/null & true`,
      );
    }

    /** In bytes: the least available memory. */
    async function minAvailable(): Promise<number> {
      const lines = await shell(guest.machine, 'rm /run/sampling; sleep 1; cat /run/samples');
      return Math.min(...[...lines.matchAll(/(\d+) kB/g)].map(([, kilobytes]) => 1024 * Number(kilobytes)));
    }

    let app: CreateContainerRequest | undefined;

    it('runs the image', async (t) => {
      await guest.agent.createSandbox({ sandboxId: 'pod' });
      // The first container creates the pod's namespaces.
      const first = request('small', ['sleep', '100000']);
      await guest.agent.createContainer(first);
      await guest.agent.startContainer({ containerId: first.containerId });
      await remove(first);
      const before = await available();
      const used = await usedMemory(guest.machine);
      await startSampling();
      app = request('app', ['sh', '-c', script]);
      const { containerId } = app;
      const began = performance.now();
      await guest.agent.createContainer(app);
      t.diagnostic(`CreateContainer with the pull: ${Math.round(performance.now() - began)} ms`);
      const min = await minAvailable();
      for (const done of ['was fetched', 'was unpacked', 'was stored'])
        t.diagnostic(
          guest.machine.lines.findLast((line) => line.includes(`an image ${done}`)) ?? `not ${done}`,
        );
      t.diagnostic(`memory of the guest at the peak: ${mega(before - min)} MB`);
      const more = async (): Promise<string> => {
        const { held, cache } = await usedMemory(guest.machine);
        return `${mega(held - used.held)} MB more that the guest cannot free, ${mega(cache - used.cache)} MB of page cache`;
      };
      t.diagnostic(`afterwards ${await more()}`);
      const started = performance.now();
      await guest.agent.startContainer({ containerId });
      const text = await readUntil(guest.agent, containerId, 'all read');
      assert.equal(text, 'data 3\nall read\n');
      const held = (await usedMemory(guest.machine)).held - used.held;
      // Of 90 MB.
      assert.ok(store === 'memory' ? held > 80e6 : held < 40e6, `${mega(held)} MB are held`);
      t.diagnostic(
        `start, and each file read: ${Math.round(performance.now() - started)} ms; ${await more()}`,
      );
      await shell(guest.machine, 'sync; echo 3 >/proc/sys/vm/drop_caches');
      t.diagnostic(`after the page cache is dropped: ${await more()}`);
      t.diagnostic(
        (await shell(guest.machine, `df -m | grep bundles/${containerId}/rootfs; ls /sys/block`)).trim(),
      );
    });

    if (store === 'memory') return;

    it('the disk has nothing that can be read, and the container has no node of it', async () => {
      const { containerId } = app ?? assert.fail();
      const disk = readFileSync(diskFile('good'));
      assert.equal(
        disk.indexOf(readFileSync(join(directory, 'data-0/data-0/file-50')).subarray(5000, 5032)),
        -1,
      );
      assert.equal(disk.indexOf('all read'), -1);
      assert.notEqual(disk.readUInt32LE(1024), 0xe0f5e1e2, 'magic number of EROFS');
      const nodes = await shell(guest.machine, `cat /run/kata-agent/bundles/${containerId}/config.json`);
      assert.doesNotMatch(nodes, /trusted_store|"type":"b"/);
    });

    it('is the only user of its disk, and another image is refused there', async (t) => {
      const claimed = await shell(guest.machine, '/usr/sbin/mke2fs /dev/vda 2>&1 </dev/null; true');
      assert.match(claimed, /in use by the system/);
      const before = await traces();
      const answer = await answerOf(guest.agent.createContainer(request('small', ['true'])));
      t.diagnostic(answer.message);
      assert.match(answer.message, /the disk \/dev\/vda is in use in the guest/);
      await leavesNothing(before);
    });

    it('a changed block is an I/O error for the process that reads it, and other files can be read', async (t) => {
      const { containerId } = app ?? assert.fail();
      await shell(guest.machine, 'sync; echo 3 >/proc/sys/vm/drop_caches');
      // In the middle of the image, far from its directories.
      overwrite(diskFile('good'), Buffer.alloc(4096, 0x5a), 40 * MiB);
      const text = await exec(containerId, 'cat /data-*/file-* 2>&1 >/dev/null; cat /data-3/name');
      t.diagnostic(text);
      assert.equal(text, 'cat: read error: Input/output error\ndata 3\n');
    });

    it('an earlier state of a part of the disk, of the same image, is an I/O error', async (t) => {
      const container = app ?? assert.fail();
      const earlier = join(directory, 'earlier.img');
      copyFileSync(diskFile('good'), earlier);
      await remove(container);
      app = request('app', ['sh', '-c', 'sleep 100000']);
      await guest.agent.createContainer(app);
      await guest.agent.startContainer({ containerId: app.containerId });
      await shell(guest.machine, 'sync; echo 3 >/proc/sys/vm/drop_caches');
      overwrite(diskFile('good'), readFileSync(earlier).subarray(30 * MiB, 60 * MiB), 30 * MiB);
      const text = await exec(
        app.containerId,
        'cat /data-*/file-* 2>&1 >/dev/null | grep -c Input/output; cat /data-3/name',
      );
      t.diagnostic(`files that cannot be read: ${text.split('\n')[0]}`);
      // Where the image has that last file depends on the version of mkfs.erofs.
      assert.match(text, /^[1-9]\d+\n(data 3\n)?$/);
    });

    it('nothing is left when the container is removed, and the disk can be used again', async () => {
      const container = app ?? assert.fail();
      await remove(container);
      assert.doesNotMatch(await traces(), new RegExp(`dm-|${container.containerId}`));
      const again = request('small', ['sh', '-c', 'echo again; exec sleep 100000']);
      await guest.agent.createContainer(again);
      await guest.agent.startContainer({ containerId: again.containerId });
      assert.equal(await readUntil(guest.agent, again.containerId, 'again\n'), 'again\n');
      await remove(again);
    });

    it('a disk that is too small, and none, are refused, and nothing is left', async (t) => {
      const before = await traces();
      for (const [disk, message] of [
        [
          'small',
          /does not fit on the disk \/dev\/vdb: it needs \d+ bytes, and the disk has 1048576; help: attach a larger disk/,
        ],
        [null, /the request has no disk at \/dev\/trusted_store; help: add a block volume/],
      ] as const) {
        const answer = await answerOf(guest.agent.createContainer(request('small', ['true'], disk)));
        t.diagnostic(answer.message);
        assert.match(answer.message, message);
        await leavesNothing(before);
      }
      assert.ok(readFileSync(diskFile('small')).every((byte) => byte === 0));
    });

    it('swap is refused: the host could read the keys there', async () => {
      const answer = await answerOf(guest.agent.addSwapPath({ path: '/dev/vdb' }));
      assert.match(answer.message, /has the keys of encrypted disks in memory/);
    });

    function overwrite(file: string, data: Buffer, position: number): void {
      const fd = openSync(file, 'r+');
      try {
        writeSync(fd, data, 0, data.length, position);
      } finally {
        closeSync(fd);
      }
    }

    async function exec(containerId: string, line: string): Promise<string> {
      count += 1;
      const execId = `exec-${count}`;
      const process = processRequest(['sh', '-c', line]);
      await guest.agent.execProcess({ containerId, execId, process });
      return (await readAll(guest.agent, 'stdout', containerId, execId)).toString();
    }
  });
