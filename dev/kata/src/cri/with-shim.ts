// containerd with Kata's Go shim, for the parts that run pods.
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { vmmProgram } from '../guest/paths.js';
import { given, type PartContext, type TestResult } from '../plan/part.js';
import { requireProgram, versionOf } from '../plan/run-program.js';
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

// The configuration of Kata's runtime for the program that replaces Cloud Hypervisor.

/** Writes the configuration and the files that it names, and returns its path. `work`: a directory for the part. */
function writeCloudHypervisorConfiguration(work: string): string {
  const file = (name: string, text: string, mode = 0o644): string => {
    writeFileSync(join(work, name), text, { mode });
    return join(work, name);
  };
  mkdirSync(join(work, 'guests'));
  const vmm = file(
    'cloud-hypervisor',
    `#!/bin/sh\nexport WORK_DIRECTORY='${join(work, 'guests')}'\nexec '${process.execPath}' '${vmmProgram}' "$@" 2>>'${join(work, 'vmm.log')}'\n`,
    0o755,
  );
  // The shim waits for it only at the end of a machine.
  const virtiofsd = file('virtiofsd', '#!/bin/sh\nexec sleep 1000000\n', 0o755);
  const empty = file('empty', 'no kernel and no image: the guest is a process\n');
  return file(
    'kata.toml',
    `[hypervisor.clh]
path = "${vmm}"
valid_hypervisor_paths = ["${vmm}"]
kernel = "${empty}"
image = "${empty}"
rootfs_type = "ext4"
default_vcpus = 1
default_memory = 256
shared_fs = "virtio-fs"
virtio_fs_daemon = "${virtiofsd}"
valid_virtio_fs_daemon_paths = ["${virtiofsd}"]
virtio_fs_cache = "auto"
disable_selinux = true
disable_guest_selinux = true
disable_block_device_use = true

[agent.kata]
dial_timeout = 60

[runtime]
internetworking_model = "none"
disable_guest_seccomp = true
static_sandbox_resource_mgmt = true
# With true, the sandbox's cgroup denies /dev/fuse to the program that replaces virtiofsd.
sandbox_cgroup_only = false
create_container_timeout = 60
`,
  );
}
