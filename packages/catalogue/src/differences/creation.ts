import type { DifferenceRows } from './difference.js';

/** What CreateContainer and ExecProcess check and answer. */
export const creationDifferences: DifferenceRows = {
  'create-hooks': {
    of: ['CreateContainer', 'CreateSandbox'],
    kata: 'OCI hooks of requests and `guest_hook_path` are used.',
    ours: 'They are denied unless `hooks = "allow"`; an empty `Hooks` message is allowed. A guest hook must be a regular file owned by root and writable only by root, outside of `/run/kata-containers`; a `prestart` hook of the guest runs with the container’s `prestart` hooks, not with its `poststart` hooks.',
    why: 'A hook runs as root of the guest.',
    noticedBy: 'users of guest hooks',
    test: ['packages/guest/src/hooks/refuse-hooks', 'hooks of all six kinds are refused'],
    also: [
      ['packages/guest/src/hooks/guest-hooks.root', 'hooks from a directory the host can write are refused'],
      ['packages/guest/src/hooks/guest-hooks.root', 'hooks of the guest’s image run for each container'],
      [
        'packages/guest/src/hooks/guest-hooks.root',
        'a hook of the guest runs after those of the container of its kind, and before the next kind',
      ],
      ['tests/root/cdi', 'those of a request with "allow" only'],
    ],
  },
  'create-allow-lists': {
    of: ['CreateContainer'],
    kata: 'Mounts, mount options, devices and namespace types of any kind are passed on. The paths of namespaces are used.',
    ours: 'They are checked against allow-lists ([mount options](mount-options.md)). Of the namespace paths only that of a network namespace is used; with a configuration it must be in `network_namespaces` ([0043](../adr/0043-network-namespaces-of-peer-pods.md)). A network namespace without a path is the guest’s own.',
    why: 'What the agent does not know it cannot judge.',
    noticedBy: 'clients that write specifications by hand',
    test: ['packages/guest/src/spec/mounts', 'file systems and options that are not listed are refused'],
    also: [
      ['packages/guest/src/spec/devices', 'default devices must match by path and number'],
      ['packages/guest/src/spec/build-spec', 'network and time namespaces are dropped'],
      ['tests/root/network-namespace', 'if the configuration lists it'],
    ],
  },
  'create-sources': {
    of: ['CreateContainer'],
    kata: 'Sources of mounts, layers and roots may be any path of the guest; symbolic links are followed.',
    ours: 'With a configuration they are where Kata’s runtimes put them below `/run/kata-containers`, or are listed in `guest_paths`. Links are not followed, and no source equals, contains or is inside what belongs to another container ([0032](../adr/0032-what-belongs-to-one-container.md)). A root in `/run/kata-containers` is at `CID/rootfs`, `shared/containers/CID`, `shared/containers/CID/rootfs` or `shared/containers/passthrough/CID/rootfs`.',
    why: 'The host would reach files of the guest and of other containers.',
    noticedBy: 'users of paths of the guest',
    test: ['packages/guest/src/source/source-place', 'sources of the runtimes are opened below Kata'],
    also: [
      ['packages/guest/src/hostile-host.root', 'links, and paths through links, are refused as sources'],
      ['packages/guest/src/hostile-host.root', 'paths of other containers are refused'],
      [
        'packages/guest/src/source/source-place',
        'a root is at the runtimes’ path for the root of this container',
      ],
    ],
  },
  'create-mount-options': {
    of: ['CreateContainer', 'UpdateEphemeralMounts'],
    kata: 'The options `remount` and `tmpcopyup`, and the destination `/`, are passed on.',
    ours: 'They are denied. `UpdateEphemeralMounts` changes only `size` and `nr_inodes`.',
    why: 'They change what was mounted before.',
    noticedBy: 'nobody',
    test: ['packages/guest/src/spec/mounts', 'remount, tmpcopyup and move are refused for every file system'],
    also: [
      ['packages/guest/src/spec/mounts', 'destinations are cleaned; the root is refused'],
      ['packages/guest/src/hostile-host.root', 'a tmpfs keeps its mount options when it is resized'],
    ],
  },
  'create-kernel-file-systems': {
    of: ['CreateContainer'],
    kata: 'proc, sysfs and cgroup file systems are mounted anywhere, with any options.',
    ours: 'With a configuration proc is mounted only at `/proc`, sysfs only at `/sys` and read-only, and nothing else there; mounts with `shared` or `rshared` are for privileged containers.',
    why: 'A writable sysfs is the guest’s.',
    noticedBy: 'nobody but privileged containers',
    test: [
      'packages/guest/src/spec/mounts',
      'kernel file systems have one destination each, and are read-only',
    ],
    also: [['packages/guest/src/spec/mounts', 'shared propagation is for privileged containers']],
  },
  'create-old-runtime': {
    of: ['CreateContainer'],
    kata: 'The agent contains its own runtime.',
    ours: 'A root on a shared file system needs an OCI runtime with the fixes for CVE-2025-31133, CVE-2025-52565, CVE-2025-52881 and CVE-2026-41579: without them, or with crun without the fix for CVE-2026-47766, it is `FAILED_PRECONDITION` with a configuration.',
    why: 'The host could use them by changing the root in time.',
    noticedBy: 'builders of images with an old runtime',
    test: [
      'packages/guest/src/runtime/runtime-features',
      'vulnerabilities depend on the version and its release line',
    ],
    also: [
      [
        'packages/guest/src/source/refuse-flawed-runtime.root',
        'is refused with a runtime that is vulnerable to changes of it',
      ],
    ],
  },
  'create-root-elsewhere': {
    of: ['CreateContainer'],
    kata: 'A root outside `/run/kata-containers` is written to.',
    ours: 'Writes of the container go to a separate layer, unless `guest_paths` lists the directory with `rw:`.',
    why: 'It may be the guest’s own.',
    noticedBy: 'Kata’s agent-ctl',
    test: [
      'packages/guest/src/source/source-place',
      'elsewhere only listed paths are allowed, read-only by default',
    ],
    also: [
      ['packages/guest/src/sandbox/sandbox.root', 'a writable root outside Kata’s directory is not changed'],
    ],
  },
  'create-proc-self': {
    of: ['CreateContainer', 'ExecProcess'],
    kata: 'A working directory or program in `/proc/self` is accepted.',
    ours: 'It is denied, also in the directory of another process.',
    why: 'CVE-2024-21626, CVE-2019-5736.',
    noticedBy: 'nobody',
    test: [
      'packages/guest/src/spec/build-spec',
      'a working directory or program in a process’s /proc directory is refused',
    ],
  },
  'exec-blocked': {
    of: ['ExecProcess', 'StartContainer', 'SignalProcess', 'UpdateContainer', 'PauseContainer'],
    kata: 'A call that a container blocks, for example with a FIFO at `/etc/passwd`, never ends, and others wait for it.',
    ours: 'An exec that is not complete within 10 seconds is `DEADLINE_EXCEEDED`, and so are other calls of a container after 30. Such a call leaves nothing.',
    why: 'No container makes calls of others wait.',
    noticedBy: 'nobody',
    test: [
      'packages/guest/src/hanging.root',
      'a blocked exec is ended after its time limit and leaves nothing',
    ],
  },
  'create-privileged': {
    of: ['CreateContainer'],
    kata: 'Privileged containers are created.',
    ours: 'With a configuration they are denied, with the [reasons](rules.md#privileged-reasons), unless `privileged_containers = "allow"` is set. Kata’s agent-ctl, which masks no path of /proc, also needs this key.',
    why: 'A privileged container owns the guest.',
    noticedBy: 'privileged pods',
    test: ['tests/root/privileged', 'a privileged container is denied with a configuration'],
  },
  'create-device-types': {
    of: ['CreateContainer'],
    kata: '`blk-ccw`, `vfio-ap` and `vfio-ap-cold` are attached on s390x.',
    ours: 'They are `UNIMPLEMENTED`, by name.',
    why: 'They are not built: they exist on s390x only.',
    noticedBy: 's390x',
    test: ['packages/guest/src/request/request-features', 'is ${built'],
  },
  'create-mount-count': {
    of: ['CreateContainer'],
    kata: 'The number of mounts is not limited.',
    ours: 'A container has at most 256 mounts and 256 storages, and 4,096 mounts below the sources of its `rbind` mounts.',
    why: 'Each costs memory of the kernel, and time of other calls.',
    noticedBy: 'nobody',
    test: [
      'tests/root/concurrent-calls',
      'a container with the most mounts is created, and one with more is rejected',
    ],
    also: [['packages/guest/src/hostile-host.root', 'mounts, storages and mounts below sources are limited']],
  },
  'create-nested-mounts': {
    of: ['CreateContainer'],
    kata: 'A mount inside another bind mount follows links out of that volume, and its mount point is created in any case.',
    ours: 'It follows no link out of the volume. A missing mount point is created if the outer mount is writable, and is an error otherwise. With a configuration only bind mounts may be inside bind mounts, unless `privileged_containers = "allow"`.',
    why: 'The content of a volume would choose the place.',
    noticedBy: 'volumes with links',
    test: [
      'packages/guest/src/source/nested-mounts.root',
      'a link out of a volume is refused, and nothing is left',
    ],
    also: [
      [
        'packages/guest/src/source/nested-mounts.root',
        'nested mounts are visible, and missing mount points are created',
      ],
      [
        'packages/guest/src/source/nested-mounts.root',
        'a link in a volume is followed in the volume: a file over a key of a config map',
      ],
      ['packages/guest/src/source/nested-mounts.root', 'the error of a mount that cannot be made names it'],
    ],
  },
  'create-root-links': {
    of: ['CreateContainer'],
    kata: '`/dev`, `/proc` and `/sys` of a root may be links.',
    ours: 'They are directories or missing.',
    why: 'Mounts of the kernel’s file systems would follow them.',
    noticedBy: 'nobody',
    test: ['tests/root/nested-mounts', 'a root with a link in place of /dev, /proc or /sys'],
  },
  'create-sysctls': {
    of: ['CreateContainer', 'CreateSandbox'],
    kata: 'Any sysctl of the namespaces of a container is written, and any kernel module loaded.',
    ours: 'With a configuration sysctls are an allow-list, and kernel modules must be in `kernel_modules` with exactly their parameters. A create that fails restores sysctls, except those that another create has set since. Values of known sysctls are validated: numbers, and for `kernel.domainname` a domain. A sysctl that the kernel does not have is ignored with a warning.',
    why: 'Some sysctls are the guest’s.',
    noticedBy: 'pods with unsafe sysctls',
    test: [
      'packages/guest/src/spec/sysctls',
      'safe sysctls, those of the container’s namespaces, and those of the configuration pass',
    ],
    also: [
      ['packages/guest/src/spec/sysctls', 'values of sysctls with a known syntax are checked'],
      ['packages/guest/src/container/sysctl-changes', 'a failed create restores its sysctls'],
      [
        'packages/guest/src/container/namespace-sysctls.root',
        'one that the kernel does not have is left out, with a warning',
      ],
      ['packages/guest/src/sandbox/kernel-modules', 'only modules of the configuration pass'],
    ],
  },
  'create-invalid': {
    of: ['CreateContainer', 'ExecProcess'],
    kata: 'Resource limits with one name twice or with a soft limit above the hard one, a relative working directory, and seccomp or capability names of an unknown form are passed on or ignored.',
    ours: 'They are `INVALID_ARGUMENT`.',
    why: 'Rules and runtime must see the same request.',
    noticedBy: 'clients that write specifications by hand',
    test: ['packages/guest/src/spec/check-process', 'unknown, repeated and inconsistent rlimits'],
    also: [
      [
        'packages/guest/src/spec/build-spec',
        'a working directory or program in a process’s /proc directory is refused',
      ],
      ['packages/guest/src/privileges.root', 'invalid errnos and actions of a seccomp profile are refused'],
      [
        'packages/guest/src/spec/build-spec',
        'capabilities with other spellings than those of rules are refused',
      ],
    ],
  },
  'create-namespaces': {
    of: ['CreateContainer', 'CreateSandbox'],
    kata: 'CreateSandbox creates the IPC and UTS namespaces of the pod.',
    ours: 'The first container creates those that the others join, and names the pod if its own hostname is set; they last until `DestroySandbox`.',
    why: 'They belong to the user namespace of the pod.',
    noticedBy: 'nobody',
    test: ['packages/guest/src/sandbox/sandbox.root', 'the pod’s hostname is that of its first container'],
    also: [
      [
        'packages/guest/src/sandbox/sandbox.root',
        'IPC and UTS namespaces outlive the container that created them',
      ],
    ],
  },
  'create-ended': {
    of: ['CreateContainer', 'ExecProcess', 'StartContainer', 'RemoveContainer'],
    kata: 'RemoveContainer waits for the sandbox’s lock.',
    ours: 'It ends an unfinished CreateContainer of that container, which waits for a device or for the OCI runtime, with `FAILED_PRECONDITION`, and also an unfinished ExecProcess or StartContainer. So do DestroySandbox, the end of the call’s connection, its deadline (with `DEADLINE_EXCEEDED`), and SIGKILL for an exec.',
    why: 'A pod can be removed while a device is missing.',
    noticedBy: 'runtimes that give up a create',
    test: ['tests/root/device-wait', 'RemoveContainer ends the wait and frees the container ID'],
    also: [
      ['tests/root/device-wait', 'a call that waits does not block others, and reserves its container ID'],
      ['tests/root/device-wait', 'the deadline of the call ends the wait'],
      ['tests/root/device-wait', 'a disconnect of the client ends the wait'],
      [
        'packages/guest/src/hanging.root',
        'a removal cancels a create or start that blocks in a file that could not be checked',
      ],
      ['packages/guest/src/hanging.root', 'blocks affects only its own container, until that is removed'],
      ['packages/guest/src/hanging.root', 'SIGKILL to a blocked exec, or to its container, ends it at once'],
      ['packages/guest/src/hanging.root', 'the deadline of the call ends a blocked exec'],
      ['packages/guest/src/hanging.root', 'the sandbox is destroyed at once, also with blocked commands'],
    ],
  },
  'sealed-secrets': {
    of: ['CreateContainer'],
    kata: 'A sealed secret that cannot be unsealed is a warning, and an encrypted disk without a data hub is mounted without encryption, in silence.',
    ours: 'Both are errors of the call; in a guest without a data hub sealed secrets stay sealed, as with Kata’s. A volume with sealed secrets is copied to memory, and the host’s stays as it is.',
    why: 'A container must not run without its secret, or write in the clear.',
    noticedBy: 'pods whose key broker is away',
    test: ['tests/root/sealed-secrets', 'is an error of the container, which leaves nothing'],
    also: [
      [
        'tests/root/sealed-secrets',
        'in the environment and in files are plain text for the container, and nowhere else',
      ],
      ['tests/root/sealed-secrets', 'without a data hub they stay sealed, as with Kata’s agent'],
      [
        'packages/guest/src/storage/storage.root',
        'paths that are not disks, and disks without a file system, are refused and leave nothing',
      ],
    ],
  },
  'create-guest-sysctls': {
    of: ['CreateContainer'],
    kata: 'A sysctl of the whole guest is refused.',
    ours: 'The same without a configuration; it is written if `sysctls` of the configuration names it, except those whose value is a program that the kernel runs.',
    why: 'An operator who lists it intends it; the host must not choose a program.',
    noticedBy: 'pods with unsafe sysctls',
    test: [
      'tests/root/as-kata',
      'a sysctl of the whole guest is invalid, as with Kata’s agent, unless the configuration names it',
    ],
  },
  'create-not-executable': {
    of: ['CreateContainer', 'ExecProcess'],
    kata: 'A program that is there and cannot be executed is a process that ends with 13 (a directory too), or with 8 if its format is unknown; nothing is printed. One that is missing is `INTERNAL`, `the file X was not found`.',
    ours: 'It is `INVALID_ARGUMENT` with the program’s path and the reason, and so is one that is missing, with Kata’s text. One of an unknown format, as for another machine, ends with 1, and the OCI runtime writes `exec format error` to stderr.',
    why: 'So do runc and crun on every other node: the create or exec fails, containerd passes the text on, and the pod’s status and `kubectl exec` name the file. 13 and 8 can be exit codes of the program itself, and tell neither that it never ran nor which file it was.',
    noticedBy:
      'pods with a broken image; probes whose program cannot be executed: the kubelet reports an error instead of a failed probe, as with runc',
    test: ['tests/root/not-executable', 'is not executable: INVALID_ARGUMENT with its path and the reason'],
    also: [
      ['tests/root/not-executable', 'is missing: INVALID_ARGUMENT with the text of Kata’s agent'],
      ['tests/root/not-executable', 'is for another machine: the process ends with 1'],
    ],
  },
  'create-secret-places': {
    of: ['CreateContainer'],
    kata: '`sealed.` in the environment and at the top of volumes is unsealed wherever it is.',
    ours: 'With a configuration only where `[[secret]]` names it; another secret there is `PERMISSION_DENIED`; elsewhere it stays text.',
    why: 'The host puts the sealed text of one container where another one publishes it.',
    noticedBy: 'pods with sealed secrets under a configuration',
    test: ['tests/root/secret-places', 'elsewhere a sealed secret stays text, wherever the host puts it'],
    also: [['tests/root/secret-places', 'another secret in a place of the configuration is an error']],
  },
  'create-secret-files': {
    of: ['CreateContainer'],
    kata: 'The unsealed file is beside the sealed one, which becomes a link to it. A sealed file that is mounted itself (`subPath`) stays sealed.',
    ours: 'The volume is copied to memory without links, `..data` among them. A file that is mounted itself is unsealed if `[[secret]]` names it.',
    why: 'A link would be a second name of the plain text.',
    noticedBy: 'programs that watch `..data` of such a volume',
    test: [
      'tests/root/secret-places',
      'a file that is mounted itself is unsealed where the configuration has it',
    ],
    also: [['tests/root/secret-places', 'a volume with a secret is copied to memory: it has no links']],
  },
  'create-believed-files': {
    of: ['CreateContainer', 'CreateSandbox'],
    kata: 'The host’s files at `/etc/hosts`, `/etc/resolv.conf` and `/etc/hostname` are bound as they are, and containers of a pod share them. `dns` is any text.',
    ours: 'With a configuration they are parsed and copied for each container; other content than localhost’s, the pod’s and `host_aliases` is `PERMISSION_DENIED`, and what is missing of these is added. `dns` has lines of resolv.conf(5), without `trust-ad`.',
    why: 'A host that maps localhost elsewhere gets the workload’s own requests.',
    noticedBy: 'pods with `hostAliases` or `hostNetwork` under a configuration',
    test: [
      'tests/root/believed-files',
      'another file is refused with its line, wherever it is mounted there from',
    ],
    also: [
      ['tests/root/believed-files', 'the container has what was checked'],
      ['tests/root/believed-files', 'the lines of CreateSandbox are checked alike'],
    ],
  },
};
