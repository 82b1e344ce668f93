// The configuration of Kata's runtime for the program that replaces Cloud Hypervisor.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { vmmProgram } from './paths.js';

/** Writes the configuration and the files that it names, and returns its path. `work`: a directory for the part. */
export function writeCloudHypervisorConfiguration(work: string): string {
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
