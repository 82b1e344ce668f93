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
import type { FileEntry } from '@kata-agent/tool-guest-image/tree/archive';
import { withRelay } from '@kata-agent/tool-vm/image';
import type { Machine } from '@kata-agent/tool-vm/machine/machine';
import type { Qmp } from '@kata-agent/tool-vm/machine/qmp';
import { readAll } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { repository } from '../harness/repository.js';
import { makeRootfs } from '../harness/rootfs.js';
import { type Image, imageOf, shell } from './machine.js';

type Agent = Client<typeof AgentService>;

export const mebibyte: number = 2 ** 20;

/** The guest's root file system for containers without their own. */
export const imageRoot = '/run/kata-containers/sandbox/storage/image';

/** The first disk of a machine, by the PCI slot that dev/vm/src/machine/start-machine.ts gives it. */
export const imageStorage: MessageInitShape<typeof StorageSchema> = {
  driver: 'blk',
  source: '10',
  fstype: 'ext4',
  mountPoint: imageRoot,
};

/** All machines with it share one, which is compressed once, each in its own directory. `parts`: as in `--with`. */
export async function openImage(name: string, parts: readonly string[] = []): Promise<Image> {
  return imageOf(name, { config: join(repository, 'examples', 'open.toml'), with: parts });
}

/** The configuration of `openImage` with one more line in `[agent]`, as an overlay. */
export function openConfiguration(line: string): FileEntry {
  const text = readFileSync(join(repository, 'examples', 'open.toml'), 'utf8');
  return {
    path: '/etc/kata-agent/config.toml',
    mode: 0o644,
    data: Buffer.from(withRelay(text.replace('[agent]\n', `[agent]\n${line}\n`))),
  };
}

/** Runs a program on the host, which must succeed, and returns its output. */
export function host(program: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${stderr}${error?.message ?? ''}`);
  return stdout;
}

/** An empty disk. */
export function blankDisk(directory: string, name: string, size: number): string {
  const disk = join(directory, `${name}.img`);
  writeFileSync(disk, '');
  truncateSync(disk, size);
  return disk;
}

/** A disk with an ext4 of a given size, with the contents of a directory. */
export function ext4Disk(
  directory: string,
  name: string,
  from: string,
  size: number = 16 * mebibyte,
): string {
  const disk = blankDisk(directory, name, size);
  host('mkfs.ext4', '-q', '-F', '-b', '4096', '-d', from, disk);
  return disk;
}

/** A directory with busybox and the given files, for a container's root. */
export function rootDirectory(
  directory: string,
  name: string,
  files: Readonly<Record<string, string>> = {},
): string {
  const made = makeRootfs(join(directory, name));
  for (const mountPoint of ['data', 'huge']) mkdirSync(join(made, mountPoint));
  for (const [file, content] of Object.entries(files)) writeFileSync(join(made, file), content);
  return made;
}

/** A machine from the host's side: it plugs devices, and calls the agent. */
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

  /** Enlarges the disk of `plug`. */
  async grow(id: string, size: number): Promise<void> {
    await this.#qmp.execute('block_resize', { 'node-name': `${id}-disk`, size });
  }

  /** Resolves when the agent waits for a device: only then does it listen to uevents. */
  async agentWaits(): Promise<void> {
    const kobjectUevent = 15;
    await this.until(`awk '$2 == ${kobjectUevent} && $3 != 0' /proc/net/netlink`, (text) => text !== '');
  }

  /** Runs a command in the guest's shell until its output matches. */
  async until(line: string, isSo: (text: string) => boolean): Promise<string> {
    for (let look = 0; look < 300; look++) {
      const text = (await shell(this.#machine, line)).trim();
      if (isSo(text)) return text;
      await delay(100);
    }
    throw new Error(`${line} did not print the expected output: ${await shell(this.#machine, line)}`);
  }

  /** Runs a container to completion, removes it, and returns its output. */
  async run(request: CreateContainerRequest): Promise<{ readonly output: string; readonly status: number }> {
    await this.#agent.createContainer(request);
    return this.finish(request.containerId);
  }

  /** The same for a created container. */
  async finish(containerId: string): Promise<{ readonly output: string; readonly status: number }> {
    await this.#agent.startContainer({ containerId });
    const output = String(await readAll(this.#agent, 'stdout', containerId));
    const { status } = await this.#agent.waitProcess({ containerId, execId: containerId });
    await this.#agent.removeContainer({ containerId });
    return { output, status };
  }
}

/** A request for a container that runs a shell command. `root`: another root than the image. */
export function container(
  id: string,
  script: string,
  { root = imageRoot, ...more }: { readonly root?: string; readonly memoryLimit?: bigint } = {},
): CreateContainerRequest {
  const args = ['sh', '-c', script];
  return create(CreateContainerRequestSchema, containerRequest({ id, rootfs: root, args, ...more }));
}
