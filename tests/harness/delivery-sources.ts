import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/**
 * Delivery sources of an agent, as shell commands for its mount namespace: a kernel command line, a document in fw_cfg,
 * a block device with an image, MRCONFIGID. `dispose` removes loop devices and files.
 */
export class DeliverySources {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'kata-agent-delivers-'));
  readonly #loops: string[] = [];
  readonly #commands: string[] = [];

  get setup(): string {
    return [':', ...this.#commands].join(' && ');
  }

  kernelCommandLine(text: string): this {
    return this.#run(`mount --bind ${this.#file('cmdline', text)} /proc/cmdline`);
  }

  fwCfg(bytes: Uint8Array): this {
    const entry = '/sys/firmware/qemu_fw_cfg/by_name/opt/io.katacontainers/kata-agent.toml';
    this.#file('fw_cfg/raw', bytes);
    this.#file('fw_cfg/size', `${bytes.length}\n`);
    return this.#run(
      `mount -t tmpfs kata-test /sys/firmware && mkdir -p ${entry} && cp ${this.directory}/fw_cfg/* ${entry}`,
    );
  }

  /** Adds a loop device with the name of a virtio disk. */
  disk(image: Uint8Array): this {
    const args = ['--find', '--show', '--read-only', this.#file('disk', image)];
    const loop = execFileSync('losetup', args, { encoding: 'utf8' }).trim();
    this.#loops.push(loop);
    const devices = ['null', 'zero', 'full', 'random', 'urandom', 'tty']
      .map((name) => `/dev/${name}`)
      .join(' ');
    return this.#run(
      `mkdir /run/dev && mount -t tmpfs kata-test /run/dev && cp -a ${devices} /run/dev && cp -a ${loop} /run/dev/vdb && mount --rbind /run/dev /dev`,
    );
  }

  mrConfigId(bytes: Uint8Array): this {
    const directory = '/sys/devices/virtual/misc/tdx_guest/measurements';
    return this.#run(
      `mount -t tmpfs kata-test /sys/devices/virtual/misc && mkdir -p ${directory} && cp ${this.#file('mrconfigid', bytes)} ${directory}`,
    );
  }

  /** Writes a drop-in and returns its directory. */
  dropIn(name: string, text: string): string {
    return dirname(this.#file(`conf.d/${name}`, text));
  }

  dispose(): void {
    for (const loop of this.#loops) execFileSync('losetup', ['--detach', loop]);
    rmSync(this.directory, { recursive: true });
  }

  #run(command: string): this {
    this.#commands.push(command);
    return this;
  }

  #file(name: string, content: string | Uint8Array): string {
    const path = join(this.directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content, { mode: 0o644 });
    return path;
  }
}
