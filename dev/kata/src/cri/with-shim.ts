// containerd with Kata's Go shim, for the parts that run pods.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildGoRuntime } from '../compile/go.js';
import { writeCloudHypervisorConfiguration } from '../guest/cloud-hypervisor-configuration.js';
import type { PartContext, TestResult } from '../part.js';
import { requireProgram } from '../program.js';
import { Containerd, type Snapshotter } from './containerd.js';
import { GrpcConnection } from './grpc.js';

/** The name of the shim's program. */
export const shimProgram = 'containerd-shim-kata-v2';

/** Programs and the Debian packages that have them. */
type Programs = readonly (readonly [program: string, debianPackage: string])[];

const shimPrograms: Programs = [
  ['containerd', 'containerd'],
  ['ctr', 'containerd'],
  ['runc', 'runc'],
  ['busybox', 'busybox-static'],
  ['ip', 'iproute2'],
];

/** A hypervisor of the shim. */
interface ShimHypervisor {
  readonly programs: Programs;
  readonly snapshotter: Snapshotter;
  /** Writes the configuration of Kata's runtime into the directory of the part, and returns its path. */
  readonly writeConfiguration: (directory: string) => string | Promise<string>;
}

const cloudHypervisor: ShimHypervisor = {
  programs: [['bindfs', 'bindfs']],
  snapshotter: 'native',
  writeConfiguration: writeCloudHypervisorConfiguration,
};

/** Builds the shim, unless another part has, and runs a task with containerd. `directory`: for the files of the part. */
export async function withShim(
  { copy, work, printProgress }: PartContext,
  name: string,
  task: (cri: GrpcConnection, containerd: Containerd, directory: string) => Promise<readonly TestResult[]>,
  hypervisor: ShimHypervisor = cloudHypervisor,
): Promise<readonly TestResult[]> {
  for (const [program, debianPackage] of [...shimPrograms, ...hypervisor.programs])
    requireProgram(program, `apt-get install ${debianPackage}`);
  const shims = join(work, 'bin');
  mkdirSync(shims, { recursive: true });
  if (!existsSync(join(shims, shimProgram))) {
    printProgress('building the shim');
    await buildGoRuntime(copy, shims, [shimProgram], printProgress);
  }
  const directory = join(work, name);
  mkdirSync(directory);
  printProgress('starting containerd');
  const { snapshotter } = hypervisor;
  const kata = await hypervisor.writeConfiguration(directory);
  const containerd = await Containerd.start(directory, shims, { kata, snapshotter });
  const cri = new GrpcConnection(containerd.socket);
  try {
    return await task(cri, containerd, directory);
  } finally {
    cri.close();
    await containerd.stop();
  }
}
