import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentService } from '@kata-agent/protocol/agent';
import { type Channel, type Client, connect, createClient } from '@kata-agent/ttrpc';
import { whyWithout } from '../harness/prerequisites.js';
import { repository } from '../harness/repository.js';

/** A file put over an image. */
export interface ImageFile {
  readonly path: string;
  readonly data: Buffer;
  readonly mode: number;
}

interface Artifact {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface Image {
  readonly kernel: Artifact;
  readonly initrd: Artifact;
  /** The root file system, where there is one. */
  readonly disks: readonly Artifact[];
}

interface ImageOptions {
  readonly config?: string;
  /** Without the relay among the listener's peers. */
  readonly asItIs?: boolean;
  readonly rootfs?: boolean;
  /** Files of the tests' own, as for image-archive.mjs. */
  readonly files?: readonly object[];
  /** Optional parts, as for `npm run image`. */
  readonly with?: readonly string[];
}

/** One connection to QEMU's machine protocol (scripts/vm-qmp.mjs). */
export interface Qmp {
  execute(name: string, args?: object): Promise<unknown>;
  /** Resolves when the guest has let go of the device. */
  unplug(id: string): Promise<void>;
  close(): void;
}

/** A virtual machine (scripts/vm-machine.mjs). */
export interface Machine {
  readonly lines: readonly string[];
  readonly accelerator: 'kvm' | 'tcg';
  readonly failure: { readonly kind: string; readonly text: string } | undefined;
  /** What to tell of one that failed. */
  readonly report: string;
  /** QEMU's exit code; it may never come. */
  readonly ended: Promise<number | null>;
  poweredOff(seconds?: number): Promise<number | null>;
  line(pattern: RegExp, seconds?: number): Promise<string>;
  connect(guestPort: number): Socket;
  qmp(): Promise<Qmp>;
  kill(): Promise<number | null>;
}

interface BootOptions {
  readonly memory?: number;
  readonly append?: readonly string[];
  readonly disks?: readonly string[];
  readonly share?: string;
  /** A folder in which a TPM keeps its keys. */
  readonly tpm?: string;
  /** More arguments of QEMU's own. */
  readonly args?: readonly string[];
  /** Without the relay and its first program: the agent is the kernel's first. */
  readonly bare?: boolean;
  readonly overlay?: readonly ImageFile[];
  /** Seconds, instead of those of scripts/vm-limits.mjs. */
  readonly limits?: Readonly<Record<string, number>>;
}

/** What the scripts export; they are JavaScript. */
interface Scripts {
  readonly buildVmImage: (
    options: ImageOptions & { readonly out: string; readonly say: (text: string) => void },
  ) => Promise<Image>;
  readonly bundleForGuest: (script: string, outfile: string) => Promise<void>;
  readonly developerHome: string;
  readonly firstProgram: string;
  /** A configuration as the relay needs it. */
  readonly withRelay: (text: string) => string;
  readonly startMachine: (options: object) => Promise<Machine>;
  readonly cpioArchive: (entries: readonly object[]) => Buffer;
  readonly wrapperProgram: (argv: readonly string[]) => Buffer;
  readonly agentNodeOptions: readonly string[];
  readonly agentPort: number;
  readonly stopPort: number;
  readonly shellPort: number;
  readonly dialPort: number;
  readonly inPath: (command: string) => boolean;
}

async function loadScripts(): Promise<Scripts> {
  const names = ['vm-image', 'vm-machine', 'vm-ports', 'image-archive', 'image-wrapper', 'bootstrap'];
  const files = [...names.map((name) => `scripts/${name}`), 'image/node-releases'];
  const modules = files.map((file) => import(`${repository}${file}.mjs`) as Promise<Partial<Scripts>>);
  return Object.assign({}, ...(await Promise.all(modules))) as Scripts;
}

export const scripts: Scripts = await loadScripts();

/** Why no guest can be booted here that needs more Debian packages; undefined when one can. See whyWithout. */
export function whyNoMachine(...more: readonly string[]): string | undefined {
  if (process.arch !== 'x64') {
    const reason = `needs an x86_64 machine (this one is ${process.arch})`;
    if (process.env['CI'] === 'true') throw new Error(`CI=true, and ${reason}`);
    return reason;
  }
  return whyWithout('qemu-system-x86', 'binutils', 'xz-utils', 'zstd', 'apt', 'busybox-static', ...more);
}

/** Two test files run at a time, each in a process of its own: what one of them boots, the other must not build anew. */
const images = join(repository, 'build', 'vm-tests', basename(process.argv[1] ?? '', '.test.js'));

/** An image in a folder of its own below build/, made of what is cached there. */
export async function imageOf(name: string, options: ImageOptions): Promise<Image> {
  const out = join(images, name);
  return scripts.buildVmImage({ ...options, out, say: () => undefined });
}

/** As Kata's runtimes give a guest by default; and two files are tested at a time, on machines that have two. */
const oneProcessor = ['-smp', '1'];

/** Boots an image. An overlay is one more archive behind the image's own, which the kernel unpacks over it. */
export async function boot(image: Image, folder: string, options: BootOptions = {}): Promise<Machine> {
  const { overlay = [], append = [], args = [], bare = false, ...others } = options;
  mkdirSync(folder, { recursive: true });
  let initrd = image.initrd.path;
  if (overlay.length > 0) {
    initrd = join(folder, 'initrd');
    const base = readFileSync(image.initrd.path);
    const padding = Buffer.alloc((512 - (base.length % 512)) % 512);
    writeFileSync(initrd, Buffer.concat([base, padding, scripts.cpioArchive(overlay)]));
  }
  return scripts.startMachine({
    ...others,
    args: [...oneProcessor, ...args],
    kernel: image.kernel.path,
    initrd,
    append: [...(bare ? [] : [`rdinit=${scripts.firstProgram}`]), ...append],
    forward: bare ? [] : [scripts.agentPort, scripts.stopPort, scripts.shellPort, scripts.dialPort],
    console: join(folder, 'console.log'),
  });
}

export const listening: RegExp = /"msg":"listening"/;

/** Resolves when the agent listens, and the relay, which is started beside it, leads there. */
export async function serves(machine: Machine): Promise<void> {
  await machine.line(listening);
  let last: unknown;
  for (let look = 0; look < 300 && machine.failure === undefined; look++) {
    try {
      await shell(machine, 'true', 60);
      return;
    } catch (error) {
      last = error;
    }
    await delay(100);
  }
  throw new Error(`the relay does not answer:\n${machine.lines.slice(-20).join('\n')}`, { cause: last });
}

/** Seconds in which something comes, or goes, over a connection: no test of ours lets one rest for as long. */
const idleSeconds = 600;

/** A connection to a port of the guest, which ends with an error when nothing comes over it. */
export function connectTo(machine: Machine, port: number, seconds: number = idleSeconds): Socket {
  const socket = machine.connect(port);
  socket.setTimeout(seconds * 1000, () => {
    const said = machine.lines.slice(-20).join('\n');
    socket.destroy(new Error(`port ${port} of the guest: nothing came or went for ${seconds} s:\n${said}`));
  });
  return socket;
}

/** QEMU's exit code, when the guest has powered off or panicked. Rejects when the machine had to be ended. */
export async function poweredOff(machine: Machine): Promise<number | null> {
  const code = await machine.poweredOff();
  assert.ok(machine.failure === undefined || machine.failure.kind === 'panicked', machine.report);
  return code;
}

/** The agent of a machine, through the relay and over vsock. */
export async function agentIn(
  machine: Machine,
): Promise<{ readonly agent: Client<typeof AgentService>; readonly channel: Channel }> {
  const socket = connectTo(machine, scripts.agentPort);
  await once(socket, 'connect');
  const channel = connect(socket);
  return { agent: createClient(AgentService, channel), channel };
}

/** Runs a line in the shell beside the agent; answers what it printed. Throws when its exit code is not 0. */
export async function shell(machine: Machine, line: string, seconds: number = idleSeconds): Promise<string> {
  const socket = connectTo(machine, scripts.shellPort, seconds);
  socket.end(`${line}\n`);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  const [, printed = '', code = ''] = /^(.*)\n(\d+|null)\n$/s.exec(text) ?? [];
  if (code !== '0') throw new Error(`${line}: exit code ${code}: ${text}`);
  return printed;
}

/** A connection to a vsock port of the guest, from one of its own. Rejects with connect(2)'s error code as the message. */
export async function dial(machine: Machine, port: number, from?: number): Promise<Socket> {
  const socket = connectTo(machine, scripts.dialPort);
  socket.write(from === undefined ? `${port}\n` : `${port} ${from}\n`);
  const answer = await new Promise<string>((resolve, reject) => {
    socket.once('error', reject).once('close', () => reject(new Error('the relay is gone')));
    socket.once('data', (first: Buffer) => {
      socket.pause();
      const end = first.indexOf('\n');
      socket.unshift(first.subarray(end + 1));
      resolve(first.toString('latin1', 0, end));
    });
  });
  if (answer === '') return socket;
  socket.destroy();
  throw new Error(answer);
}

/** Ends the agent in order, and with it the machine. */
export async function stop(machine: Machine): Promise<void> {
  machine.connect(scripts.stopPort).on('error', () => undefined);
  await poweredOff(machine);
}
