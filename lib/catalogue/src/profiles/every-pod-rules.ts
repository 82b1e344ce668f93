import type { ProfileRule } from './profile.js';

/** Rules that are the same for every pod, with each runtime: they have no values. */
export const everyPodRules: readonly ProfileRule[] = [
  {
    method: 'UpdateInterface',
    name: 'loopback',
    description: 'No interface replaces the loopback device; NOARP is the only flag.',
    expression: `request.interface.name != "lo" && request.interface.hwAddr != "00:00:00:00:00:00" &&
request.interface.raw_flags in [0, 128]`,
    message: 'no interface of a pod is like this',
  },
  {
    method: 'UpdateRoutes',
    name: 'loopback',
    description: 'No route uses the loopback device or its addresses.',
    expression: `request.routes.Routes.all(r, r.device != "lo" &&
  !r.source.matches("^(::ffff:)?127[.]|^(0{0,4}:){0,7}0{0,3}1(/|$)"))`,
    message: 'no route of a pod uses the loopback device',
  },
  {
    method: 'AddARPNeighbors',
    name: 'loopback',
    description: 'Neighbours are single addresses outside of the guest, reachable or permanent.',
    expression: `request.neighbors.ARPNeighbors.all(n, n.device != "lo" && n.toIPAddress.mask == "" &&
  !n.toIPAddress.address.matches("^(::ffff:)?127[.]|^(0{0,4}:){0,7}0{0,3}1$") &&
  n.state in [2, 128] && n.flags in [0, 8, 128, 136])`,
    message: 'no neighbour of a pod is like this',
  },
  {
    method: 'CreateSandbox',
    name: 'hooks',
    description: 'The host adds no hooks and no kernel modules to the guest.',
    expression: 'request.guest_hook_path == "" && request.kernel_modules.size() == 0',
    message: 'no hooks and no kernel modules are added to this guest',
  },
  {
    method: 'CreateSandbox',
    name: 'processes',
    description: 'Containers do not share a PID namespace. shareProcessNamespace',
    expression: '!request.sandbox_pidns',
    message: 'this pod does not share its PID namespace',
  },
  {
    method: 'CreateSandbox',
    name: 'resolvers',
    description: 'The DNS entries are lines of resolv.conf.',
    expression: `request.sandbox_id != "" &&
request.dns.all(d, d.matches("^((nameserver|search|domain|options|sortlist)[ \\\\t][A-Za-z0-9 \\\\t.:%_/-]*|#[ -~]*)?$"))`,
    message: 'this is not a line of resolv.conf, or the sandbox has no ID',
  },
  {
    method: 'CreateContainer',
    name: 'processes',
    description: 'Containers do not share a PID namespace. shareProcessNamespace',
    expression: '!request.sandbox_pidns',
    message: 'this pod does not share its PID namespace',
  },
  {
    method: 'CreateContainer',
    name: 'namespaces',
    description:
      'The container has its own namespaces, and none of the host; the network is that of the guest. hostIPC, hostUsers',
    expression: `request.OCI.Linux.Namespaces.all(n, n.Path == "" && n.Type in ["ipc", "uts", "mount", "cgroup", "pid"]) &&
["uts", "mount", "ipc"].all(t, request.OCI.Linux.Namespaces.exists(n, n.Type == t))`,
    message: 'the workload has other namespaces',
  },
  {
    method: 'CreateContainer',
    name: 'masked-paths',
    description: 'Masked and read-only paths in /proc and /sys. securityContext.procMount, privileged',
    expression: `["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"]
  .all(p, p in request.OCI.Linux.MaskedPaths) &&
["/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
  .all(p, p in request.OCI.Linux.ReadonlyPaths || p in request.OCI.Linux.MaskedPaths)`,
    message: 'the container would see parts of /proc or /sys that are masked for it',
  },
  {
    method: 'CreateContainer',
    name: 'attached-devices',
    description: 'Devices that are attached to the guest for the container. volumeDevices',
    expression: 'request.devices.size() == 0',
    message: 'no such device is attached for this workload',
  },
  {
    method: 'CreateContainer',
    name: 'unused-fields',
    description:
      'Settings that no Kata pod needs: hooks, ID mappings, seccomp and cgroup rules from the host.',
    expression: `request.OCI.Hooks.Prestart.size() +
  request.OCI.Hooks.CreateRuntime.size() +
  request.OCI.Hooks.CreateContainer.size() +
  request.OCI.Hooks.StartContainer.size() +
  request.OCI.Hooks.Poststart.size() +
  request.OCI.Hooks.Poststop.size() == 0 &&
request.shared_mounts.size() == 0 &&
!has(request.OCI.Solaris) && !has(request.OCI.Windows) &&
[request.OCI.Linux.UIDMappings, request.OCI.Linux.GIDMappings].all(l, l.size() == 0) &&
request.OCI.Linux.MountLabel == "" && request.OCI.Linux.RootfsPropagation in [""] &&
!has(request.OCI.Linux.Seccomp) && !has(request.OCI.Linux.IntelRdt) &&
request.OCI.Linux.Resources.Devices.size() == 0 && !has(request.OCI.Linux.Resources.Pids) &&
!has(request.OCI.Linux.Resources.BlockIO) && !has(request.OCI.Linux.Resources.Network)`,
    message: 'the request has a setting that no container of this workload needs',
  },
  {
    method: 'CreateContainer',
    name: 'mounts-unique',
    description: 'No two mounts have the same mount point.',
    expression: 'mounts.all(m, mounts.exists_one(o, o.destination == m.destination))',
    message: 'two mounts have the same mount point',
  },
  {
    method: 'CreateContainer',
    name: 'watched-sources',
    description: 'A watched volume is shown next to its source, with the same name. configMap, secret',
    expression: `request.storages.all(s, s.driver != "watchable-bind" || s.mount_point.split("/watchable/").size() == 2 &&
  s.source == s.mount_point.split("/watchable/")[0] + "/" + s.mount_point.split("/watchable/")[1])`,
    message: 'this is not the directory of this volume',
  },
  {
    method: 'CreateContainer',
    name: 'storage-fields',
    description: 'The host cannot choose these storage sources, and no disk is used twice.',
    expression: `request.storages.all(s, (s.driver != "local" || s.source == "local") && s.shared == (s.driver == "blk") &&
  (s.driver != "blk" || request.storages.exists_one(o, o.source == s.source)) &&
  (s.driver != "image_guest_pull" || s.driver_options.size() <= 1 &&
    s.driver_options.all(o, o.startsWith("image_guest_pull="))))`,
    message: 'no storage of the workload is like this',
  },
  {
    method: 'CreateContainer',
    name: 'versions',
    description: 'The first process is named like its container or not at all; the OCI version is 1.',
    expression:
      'request.exec_id in ["", request.container_id] && request.OCI.Version.matches("^1[.][0-9]+[.][0-9]+(-dev)?$")',
    message: 'no runtime sends such a request',
  },
  {
    method: 'CreateContainer',
    name: 'proc-paths',
    description: 'Masked and read-only paths are in /proc and /sys, and are those of engines.',
    expression: `request.OCI.Linux.MaskedPaths.all(p, p in ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/proc/asound", "/proc/interrupts", "/proc/mtrr", "/sys/dev", "/sys/dev/block", "/sys/fs/selinux", "/sys/devices/virtual/powercap", "/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"] || p.matches("^/sys/devices/system/cpu/cpu[0-9]+/thermal_throttle$")) &&
request.OCI.Linux.ReadonlyPaths.all(p, p in ["/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"])`,
    message: 'a masked or read-only path that no engine sets',
  },
  {
    method: 'CreateContainer',
    name: 'cgroups',
    description: 'The cgroup is the one that the kubelet sets for this container.',
    expression: `request.OCI.Linux.CgroupsPath == "" ||
request.OCI.Linux.CgroupsPath.matches("^/?([A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*[/:])*[A-Za-z0-9_.-]+$") &&
(request.OCI.Linux.CgroupsPath.endsWith("/" + request.container_id) ||
  request.OCI.Linux.CgroupsPath.endsWith(":" + request.container_id))`,
    message: 'this is not the cgroup of this container',
  },
  {
    method: 'CreateContainer',
    name: 'namespaces-unique',
    description: 'No namespace is listed twice.',
    expression:
      'request.OCI.Linux.Namespaces.all(n, request.OCI.Linux.Namespaces.exists_one(o, o.Type == n.Type))',
    message: 'a namespace is listed twice',
  },
  {
    method: 'CreateContainer',
    name: 'resources',
    description: 'Only the memory and CPU limits that the kubelet sets, and no other cgroup setting.',
    expression: `!has(request.OCI.Linux.Resources) ||
request.OCI.Linux.Resources.Memory.Kernel == 0 && request.OCI.Linux.Resources.Memory.KernelTCP == 0 &&
request.OCI.Linux.Resources.Memory.Swappiness == 0u && !request.OCI.Linux.Resources.Memory.DisableOOMKiller &&
request.OCI.Linux.Resources.CPU.RealtimeRuntime == 0 && request.OCI.Linux.Resources.CPU.RealtimePeriod == 0u &&
request.OCI.Linux.Resources.HugepageLimits.all(l, l.Pagesize.matches("^[0-9]+[KMG]B$"))`,
    message: 'no pod of the workload sets such a resource',
  },
  {
    method: 'CreateContainer',
    name: 'names-unique',
    description:
      'A container is created again only after the one with its name is removed, and the pause container only once.',
    expression:
      '!sandbox.members.exists(m, m.name == container.claimed.name && (m.state != "removed" || m.name == ""))',
    message: 'a container with this name already exists',
  },
];

/** The same, where files are copied into the guest. */
export const copiedFileRules: readonly ProfileRule[] = [
  {
    method: 'CopyFile',
    name: 'names',
    description: "Files are copied only to the runtimes' directories, never into a container's rootfs.",
    expression:
      'path.matches("^/run/kata-containers/shared/containers/(watchable/)?[A-Za-z0-9_.-]+-[a-z0-9]{16}-[^/]+(/|$)")',
    message: 'no file of the cluster has this name',
  },
  {
    method: 'CopyFile',
    name: 'links',
    description: 'The only special files are links, within a volume, that do not leave it.',
    expression:
      'file_type in ["regular", "directory"] || file_type == "symlink" && !string(request.data).startsWith("/") && !string(request.data).matches("(^|/)[.][.](/|$)") && path.split("/").size() > 6',
    message: 'this link leaves its volume',
  },
  {
    method: 'CopyFile',
    name: 'file-modes',
    description: 'No copied file is setuid, and only directories can be setgid.',
    expression:
      'request.file_mode % 4096u < 512u || file_type == "directory" && request.file_mode % 4096u < 2048u || file_type == "symlink"',
    message: 'files of volumes are neither setuid nor setgid',
  },
];
