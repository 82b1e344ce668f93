import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type AgentService,
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  type StorageSchema,
} from '@kata-agent/protocol/agent';
import type { Client } from '@kata-agent/ttrpc';
import { readAll } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { repository } from '../harness/repository.js';
import { makeRootfs } from '../harness/rootfs.js';
import { type Image, type ImageFile, imageOf, type Machine, type Qmp, scripts, shell } from './machine.js';

type Agent = Client<typeof AgentService>;

export const mebibyte: number = 2 ** 20;

/** Where the guest has the root file system of all containers but those that bring their own. */
export const imageRoot = '/run/kata-containers/sandbox/storage/image';

/** The first disk of a machine, by the PCI slot that scripts/vm-machine.mjs gives it. */
export const imageStorage: MessageInitShape<typeof StorageSchema> = {
  driver: 'blk',
  source: '10',
  fstype: 'ext4',
  mountPoint: imageRoot,
};

/** All that have it have the same, which is compressed once, each in a folder of its own. */
export async function openImage(name: string): Promise<Image> {
  return imageOf(name, { config: join(repository, 'examples', 'open.toml'), with: ['verity'] });
}

/** The configuration of `openImage` with one more line in `[agent]`, to be put over it. */
export function openConfiguration(line: string): ImageFile {
  const text = readFileSync(join(repository, 'examples', 'open.toml'), 'utf8');
  return {
    path: '/etc/kata-agent/config.toml',
    mode: 0o644,
    data: Buffer.from(scripts.withRelay(text.replace('[agent]\n', `[agent]\n${line}\n`))),
  };
}

/** Runs a program of this machine, which must succeed, and answers what it printed. */
export function host(program: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${stderr}${error?.message ?? ''}`);
  return stdout;
}

/** An empty disk. */
export function blankDisk(folder: string, name: string, size: number): string {
  const disk = join(folder, `${name}.img`);
  writeFileSync(disk, '');
  truncateSync(disk, size);
  return disk;
}

/** A disk with an ext4, of a size, with what is in a folder. */
export function ext4Disk(folder: string, name: string, from: string, size: number = 16 * mebibyte): string {
  const disk = blankDisk(folder, name, size);
  host('mkfs.ext4', '-q', '-F', '-b', '4096', '-d', from, disk);
  return disk;
}

/** A folder with busybox and files of these contents, for a container's root. */
export function rootFolder(
  folder: string,
  name: string,
  files: Readonly<Record<string, string>> = {},
): string {
  const made = makeRootfs(join(folder, name));
  for (const mountPoint of ['data', 'huge']) mkdirSync(join(made, mountPoint));
  for (const [file, content] of Object.entries(files)) writeFileSync(join(made, file), content);
  return made;
}

/** A host's view of a machine: it plugs, and calls the agent. */
export class Host {
  readonly #machine: Machine;
  readonly #qmp: Qmp;
  readonly #agent: Agent;

  constructor(machine: Machine, qmp: Qmp, agent: Agent) {
    this.#machine = machine;
    this.#qmp = qmp;
    this.#agent = agent;
  }

  /** A sandbox whose containers have their root on the machine's first disk. */
  async sandbox(kernelModules: readonly string[] = []): Promise<void> {
    const modules = kernelModules.map((name) => ({ name, parameters: [] }));
    await this.#agent.createSandbox({ sandboxId: 'pod', storages: [imageStorage], kernelModules: modules });
  }

  /** Plugs a disk; `device` is QEMU's, as `{ driver: 'virtio-blk-pci', bus: 'bridge', addr: '3' }`. */
  async plug(id: string, file: string, device: Readonly<Record<string, unknown>>): Promise<void> {
    const node = { 'node-name': `${id}-disk`, driver: 'raw', file: { driver: 'file', filename: file } };
    await this.#qmp.execute('blockdev-add', node);
    await this.#qmp.execute('device_add', { id, drive: `${id}-disk`, ...device });
  }

  async unplug(id: string): Promise<void> {
    await this.#qmp.unplug(id);
    await this.#qmp.execute('blockdev-del', { 'node-name': `${id}-disk` });
  }

  /** Makes the disk of `plug` larger. */
  async grow(id: string, size: number): Promise<void> {
    await this.#qmp.execute('block_resize', { 'node-name': `${id}-disk`, size });
  }

  /** Resolves when the agent waits for a device: it listens to the kernel's word of them only as long as it does. */
  async agentWaits(): Promise<void> {
    const kobjectUevent = 15;
    await this.until(`awk '$2 == ${kobjectUevent} && $3 != 0' /proc/net/netlink`, (text) => text !== '');
  }

  /** Asks the guest's shell until its answer is as it should be. */
  async until(line: string, isSo: (text: string) => boolean): Promise<string> {
    for (let look = 0; look < 300; look++) {
      const text = (await shell(this.#machine, line)).trim();
      if (isSo(text)) return text;
      await delay(100);
    }
    throw new Error(`${line} did not come to say what was waited for: ${await shell(this.#machine, line)}`);
  }

  /** Runs a container to its end, removes it, and answers what it wrote. */
  async run(request: CreateContainerRequest): Promise<{ readonly output: string; readonly status: number }> {
    await this.#agent.createContainer(request);
    return this.finish(request.containerId);
  }

  /** The same for one that was created. */
  async finish(containerId: string): Promise<{ readonly output: string; readonly status: number }> {
    await this.#agent.startContainer({ containerId });
    const output = String(await readAll(this.#agent, 'stdout', containerId));
    const { status } = await this.#agent.waitProcess({ containerId, execId: containerId });
    await this.#agent.removeContainer({ containerId });
    return { output, status };
  }
}

/** A request for a container that runs a line of the shell. `root`: another root than the image. */
export function container(
  id: string,
  script: string,
  { root = imageRoot, ...more }: { readonly root?: string; readonly memoryLimit?: bigint } = {},
): CreateContainerRequest {
  const args = ['sh', '-c', script];
  return create(CreateContainerRequestSchema, containerRequest({ id, rootfs: root, args, ...more }));
}
