// containerd with Kata's Go shim, for the parts that run pods.
import { chmodSync, copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeCloudHypervisorConfiguration } from '../guest/cloud-hypervisor-configuration.js';
import { given, type PartContext, type TestResult } from '../part.js';
import { requireProgram, versionOf } from '../program.js';
import { Containerd } from './containerd.js';
import { type Snapshotter, supportedRelease } from './containerd-configuration.js';
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
  readonly writeConfiguration: (directory: string) => string;
}

const cloudHypervisor: ShimHypervisor = {
  programs: [['bindfs', 'bindfs']],
  snapshotter: 'native',
  writeConfiguration: writeCloudHypervisorConfiguration,
};

/** Runs a task with containerd and the shim that was given. `directory`: for the files of the part. */
export async function withShim(
  { programs, work, printProgress }: PartContext,
  name: string,
  task: (cri: GrpcConnection, containerd: Containerd, directory: string) => Promise<readonly TestResult[]>,
  hypervisor: ShimHypervisor = cloudHypervisor,
): Promise<readonly TestResult[]> {
  for (const [program, debianPackage] of [...shimPrograms, ...hypervisor.programs])
    requireProgram(program, `apt-get install ${debianPackage}`);
  const release = supportedRelease(versionOf('containerd', '--version') ?? '');
  const shims = join(work, 'bin');
  mkdirSync(shims, { recursive: true });
  // By this name containerd finds it.
  copyFileSync(given(programs.shim, '--shim').path, join(shims, shimProgram));
  chmodSync(join(shims, shimProgram), 0o755);
  const directory = join(work, name);
  mkdirSync(directory);
  printProgress('starting containerd');
  const { snapshotter } = hypervisor;
  const kata = hypervisor.writeConfiguration(directory);
  const containerd = await Containerd.start(directory, shims, { release, kata, snapshotter });
  const cri = new GrpcConnection(containerd.socket);
  try {
    return await task(cri, containerd, directory);
  } finally {
    cri.close();
    await containerd.stop();
  }
}
