import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentService } from '@kata-agent/protocol/agent';
import { type Channel, type Client, connect, createClient } from '@kata-agent/ttrpc';
import type { Image as BuiltImage } from '@kata-agent/tool-guest-image/build';
import { cpioArchive, type Entry } from '@kata-agent/tool-guest-image/tree/archive';
import { buildVmImage, firstProgram, type VmImageRequest } from '@kata-agent/tool-vm/image';
import { agentPort, dialPort, shellPort, stopPort } from '@kata-agent/tool-vm/inside/ports';
import type { Machine } from '@kata-agent/tool-vm/machine/machine';
import { type BootSettings, startMachine } from '@kata-agent/tool-vm/machine/start-machine';
import { runtimeName } from '../harness/oci-runtime.js';
import { whyWithout } from '../harness/prerequisites.js';
import { repository } from '../harness/repository.js';

/** The files of an image that are booted. */
export type Image = Pick<BuiltImage, 'kernel' | 'initrd' | 'disks'>;

type ImageOptions = Omit<VmImageRequest, 'out' | 'printProgress'>;

interface BootOptions extends Omit<BootSettings, 'kernel' | 'initrd' | 'forward' | 'console'> {
  /** Without the relay and its first program: the agent is PID 1. */
  readonly bare?: boolean;
  /** Files that are put over the image. */
  readonly overlay?: readonly Entry[];
  /** Further TCP ports of the guest to forward to; see `Machine.port`. */
  readonly ports?: readonly number[];
}

/** Returns why a guest that needs more Debian packages cannot be booted here; undefined if it can. See whyWithout. */
export function whyNoMachine(...more: readonly string[]): string | undefined {
  if (process.arch !== 'x64') {
    const reason = `needs an x86_64 machine (this one is ${process.arch})`;
    if (process.env['CI'] === 'true') throw new Error(`CI=true, and ${reason}`);
    return reason;
  }
  return whyWithout('qemu-system-x86', 'binutils', 'xz-utils', 'zstd', 'apt', 'busybox-static', ...more);
}

/** Two test files run concurrently, each in its own process: an image of one must not be rebuilt by the other. */
const images = join(repository, 'build', 'vm-tests', basename(process.argv[1] ?? '', '.test.js'));

/** Builds an image in its own directory below build/, from cached parts, with the OCI runtime of OCI_RUNTIME. */
export async function imageOf(name: string, options: ImageOptions): Promise<Image> {
  const out = join(images, name);
  const parts = [...(options.with ?? []), ...(runtimeName === 'crun' ? ['crun'] : [])];
  return buildVmImage({ ...options, with: parts, out, printProgress: () => undefined });
}

/** As Kata's runtimes configure a guest by default; and two test files run concurrently on two CPUs. */
const oneProcessor = ['-smp', '1'];

/** Boots an image. An overlay is an additional archive that the kernel unpacks over the image. */
export async function boot(image: Image, directory: string, options: BootOptions = {}): Promise<Machine> {
  const { overlay = [], append = [], args = [], bare = false, ports = [], ...others } = options;
  mkdirSync(directory, { recursive: true });
  let initrd = image.initrd.path;
  if (overlay.length > 0) {
    initrd = join(directory, 'initrd');
    const base = readFileSync(image.initrd.path);
    const padding = Buffer.alloc((512 - (base.length % 512)) % 512);
    writeFileSync(initrd, Buffer.concat([base, padding, cpioArchive(overlay)]));
  }
  return startMachine({
    ...others,
    args: [...oneProcessor, ...args],
    kernel: image.kernel.path,
    initrd,
    append: [...(bare ? [] : [`rdinit=${firstProgram}`]), ...append],
    forward: bare ? [] : [agentPort, stopPort, shellPort, dialPort, ...ports],
    console: join(directory, 'console.log'),
  });
}

export const listening: RegExp = /"msg":"listening"/;

/** Resolves when the agent listens, and the relay, which is started beside it, forwards to it. */
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

/** Idle timeout of a connection, in seconds: no test is idle for longer. */
const idleSeconds = 600;

/** A connection to a port of the guest, which fails when idle. */
export function connectTo(machine: Machine, port: number, seconds: number = idleSeconds): Socket {
  const socket = machine.connect(port);
  socket.setTimeout(seconds * 1000, () => {
    const output = machine.lines.slice(-20).join('\n');
    socket.destroy(new Error(`port ${port} of the guest: nothing came or went for ${seconds} s:\n${output}`));
  });
  return socket;
}

/** QEMU's exit code after power-off or panic. Rejects if the machine had to be killed. */
export async function poweredOff(machine: Machine): Promise<number | null> {
  const code = await machine.poweredOff();
  assert.ok(machine.failure === undefined || machine.failure.kind === 'panicked', machine.report);
  return code;
}

/** The agent of a machine, through the relay and over vsock. */
export async function agentIn(
  machine: Machine,
): Promise<{ readonly agent: Client<typeof AgentService>; readonly channel: Channel }> {
  const socket = connectTo(machine, agentPort);
  await once(socket, 'connect');
  const channel = connect(socket);
  return { agent: createClient(AgentService, channel), channel };
}

/** Runs a command in the shell beside the agent; returns its output. Throws if its exit code is not 0. */
export async function shell(machine: Machine, line: string, seconds: number = idleSeconds): Promise<string> {
  const socket = connectTo(machine, shellPort, seconds);
  socket.end(`${line}\n`);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  const [, printed = '', code = ''] = /^(.*)\n(\d+|null)\n$/s.exec(text) ?? [];
  if (code !== '0') throw new Error(`${line}: exit code ${code}: ${text}`);
  return printed;
}

/**
 * A connection to a vsock port of the guest, from one of its own. Rejects with connect(2)'s error code as the message.
 */
export async function dial(machine: Machine, port: number, from?: number): Promise<Socket> {
  const socket = connectTo(machine, dialPort);
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

/** Stops the agent in order, and with it the machine. */
export async function stop(machine: Machine): Promise<void> {
  machine.connect(stopPort).on('error', () => undefined);
  await poweredOff(machine);
}
