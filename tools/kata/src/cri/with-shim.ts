// containerd with Kata's Go shim, for the parts that run pods.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildGoRuntime } from '../compile/go.js';
import type { PartContext, TestResult } from '../part.js';
import { requireProgram } from '../program.js';
import { Containerd } from './containerd.js';
import { GrpcConnection } from './grpc.js';

/** The name of the shim's program. */
export const shimProgram = 'containerd-shim-kata-v2';

/** Builds the shim, unless another part has, and runs a task with containerd. `directory`: for the files of the part. */
export async function withShim(
  { copy, work, printProgress }: PartContext,
  name: string,
  task: (cri: GrpcConnection, containerd: Containerd, directory: string) => Promise<readonly TestResult[]>,
): Promise<readonly TestResult[]> {
  for (const [program, source] of [
    ['containerd', 'apt-get install containerd'],
    ['ctr', 'apt-get install containerd'],
    ['runc', 'apt-get install runc'],
    ['busybox', 'apt-get install busybox-static'],
    ['ip', 'apt-get install iproute2'],
    ['bindfs', 'apt-get install bindfs'],
  ] as const)
    requireProgram(program, source);
  const shims = join(work, 'bin');
  mkdirSync(shims, { recursive: true });
  if (!existsSync(join(shims, shimProgram))) {
    printProgress('building the shim');
    await buildGoRuntime(copy, shims, [shimProgram], printProgress);
  }
  const directory = join(work, name);
  mkdirSync(directory);
  printProgress('starting containerd');
  const containerd = await Containerd.start(directory, shims);
  const cri = new GrpcConnection(containerd.socket);
  try {
    return await task(cri, containerd, directory);
  } finally {
    cri.close();
    await containerd.stop();
  }
}
