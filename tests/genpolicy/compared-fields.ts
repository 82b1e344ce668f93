/** A row of the comparison: fields of a request, and what genpolicy's rules do with them. */
export interface ComparedField {
  readonly method: string;
  /** By the names of the .proto file; a final `*` matches any rest. Of the rows that match a field, the one with the longest name has it. */
  readonly fields: readonly string[];
  /**
   * What rules.rego compares, each comparison with its place: the name of a rule and a line, `allow_user:880`. Absent: nothing, and none of
   * `unread` is in it.
   */
  readonly genpolicy?: string;
  /** Names that rules.rego has in no rule. */
  readonly unread?: readonly string[];
}

const create = 'CreateContainer';
const exec = 'ExecProcess';
const sandbox = 'CreateSandbox';

// Lines are those of src/tools/genpolicy/rules.rego at `rulesCommit`. `genpolicy-sizes.js --source DIR` checks that each line is inside the
// rule of that name, and that no rule has an unread name.

/** The commit of Kata Containers that the lines are of. */
export const rulesCommit = '7c6ba40c54';

export const comparedFields: readonly ComparedField[] = [
  {
    method: create,
    fields: ['OCI.Process.Args*'],
    genpolicy:
      "The same number of words (`allow_args:901`), each equal (`allow_arg:914`), also after the pod's name is filled in (`allow_arg:934`). Any word where the document has `$(node-name)` (`allow_arg:923`)",
  },
  {
    method: create,
    fields: ['OCI.Process.Env*'],
    genpolicy:
      "Each variable is one of the document (`allow_var:955`) or matches a pattern of the settings (`allow_var:989`): any `HOSTNAME`, variables of services, `TERM`. Any value for `$(host-name)`, `$(node-name)`, `$(pod-uid)` (`allow_var:1018`) and resource fields (`allow_var:1049`); any IPv4 address for the pod's and the node's (`allow_var:998`, `allow_var:1029`). Variables may be missing (`allow_env:944`)",
  },
  {
    method: create,
    fields: ['OCI.Process.User.UID', 'OCI.Process.User.GID'],
    genpolicy: 'Equal (`allow_user:880`, `allow_user:883`)',
  },
  {
    method: create,
    fields: ['OCI.Process.User.AdditionalGids*'],
    genpolicy: 'The same set (`allow_user:886`)',
  },
  {
    method: create,
    fields: ['OCI.Process.User.Username'],
    genpolicy: 'Empty (`allow_create_container_input:159`)',
  },
  { method: create, fields: ['OCI.Process.Cwd'], genpolicy: 'Equal (`allow_process_common:830`)' },
  { method: create, fields: ['OCI.Process.Terminal'], genpolicy: 'Equal (`allow_process:846`)' },
  { method: create, fields: ['OCI.Process.ConsoleSize*'], unread: ['ConsoleSize'] },
  {
    method: create,
    fields: ['OCI.Process.Capabilities*'],
    genpolicy:
      'Each of the five sets is the same, with or without `CAP_` (`match_caps:1487`), or the one of the settings (`match_caps:1505`, `match_caps:1523`)',
  },
  { method: create, fields: ['OCI.Process.Rlimits*'], unread: ['Rlimits'] },
  {
    method: create,
    fields: ['OCI.Process.NoNewPrivileges'],
    genpolicy: 'Equal (`allow_process_common:831`)',
  },
  {
    method: create,
    fields: ['OCI.Process.ApparmorProfile'],
    genpolicy: 'Not read: only that of an exec is (`allow_exec_process_input:1713`)',
  },
  {
    method: create,
    fields: ['OCI.Process.SelinuxLabel'],
    genpolicy: 'Empty (`allow_create_container_input:158`)',
  },
  { method: create, fields: ['OCI.Process.OOMScoreAdj'], unread: ['OOMScoreAdj'] },
  {
    method: create,
    fields: ['OCI.Mounts'],
    genpolicy:
      'Each mount matches another one of the document (`allow_by_bundle_or_sandbox_id:815`, `allow_by_bundle_or_sandbox_id:818`). Mounts may be missing, and in any order',
  },
  {
    method: create,
    fields: ['OCI.Mounts[].destination', 'OCI.Mounts[].type'],
    genpolicy: 'Equal (`check_mount:1149`, `check_mount:1150`)',
  },
  {
    method: create,
    fields: ['OCI.Mounts[].source'],
    genpolicy:
      "Equal or matches the document's pattern (`check_mount:1145`, `mount_source_allows:1212`, `mount_source_allows:1228`), whose end is often open; of an emptyDir on a disk the mount point of any `blk` or `scsi` storage of the request (`allow_mount:1138`, `allow_mount:1139`)",
  },
  {
    method: create,
    fields: ['OCI.Mounts[].options*'],
    genpolicy:
      'Equal, in the same order (`check_mount:1151`). For sysfs `rw` or `ro` (`check_mount:1168`); for cgroup also the options of the settings (`check_mount:1191`)',
  },
  {
    method: create,
    fields: ['OCI.Root.Path'],
    genpolicy:
      'Contains the root path of the settings, with any bundle name (`allow_by_bundle_or_sandbox_id:811`)',
  },
  { method: create, fields: ['OCI.Root.Readonly'], genpolicy: 'Equal (`CreateContainerRequest:110`)' },
  { method: create, fields: ['OCI.Hostname'], unread: ['Hostname'] },
  {
    method: create,
    fields: ['OCI.Annotations*'],
    genpolicy:
      "Keys: any of `io.kubernetes.cri.` (`allow_anno_key_value:262`), those of the document (`allow_anno_key_value:270`), and patterns of key and value (`allow_anno_key_value:280`, `allow_anno_key_value:281`). Values: the pod's name (`allow_sandbox_name:334`) and namespace (`allow_namespace:165`), the same in all containers (`state_allows:195`), the container's types (`allow_by_container_types:352`, `allow_by_container_type:380`) and name (`allow_container_annotation:422`), the sandbox's id (`allow_by_bundle_or_sandbox_id:801`), log directory (`allow_sandbox_log_directory:467`) and network namespace (`allow_sandbox_net_namespace:437`)",
  },
  {
    method: create,
    fields: ['OCI.Annotations{io.kubernetes.cri.image-name}'],
    genpolicy:
      'Any value, as of each `io.kubernetes.cri.` key without a check of its own (`allow_anno_key_value:262`)',
  },
  {
    method: create,
    fields: ['OCI.Annotations{cdi.k8s.io/vfio*'],
    genpolicy:
      'As many as the document has GPUs, with the numbers of the attached ones (`allow_vfio_device_cdi_correlation:581`, `allow_vfio_device_cdi_correlation:596`); the value matches a pattern (`allow_anno_key_value:281`)',
  },
  {
    method: create,
    fields: ['OCI.Linux.Namespaces*'],
    genpolicy:
      'Equal, in the same order, without those of type `network` and `cgroup` (`allow_linux:621`); at most one `network`, with the same path in all containers (`allow_network_namespace:671`, `allow_network_namespace:673`)',
  },
  {
    method: create,
    fields: ['OCI.Linux.MaskedPaths*'],
    genpolicy: 'At least those of the document (`allow_masked_path:711`)',
  },
  {
    method: create,
    fields: ['OCI.Linux.ReadonlyPaths*'],
    genpolicy:
      'At least those of the document, or masked (`allow_readonly_path:750`, `allow_readonly_path:758`)',
  },
  {
    method: create,
    fields: ['OCI.Linux.Devices*'],
    genpolicy:
      'The path of each is one of the document (`allow_linux_devices:768`); type, numbers, mode and owner are not compared',
  },
  {
    method: create,
    fields: ['OCI.Linux.Sysctl*'],
    genpolicy: 'Each has the value of the document (`allow_linux_sysctl:785`). Sysctls may be missing',
  },
  {
    method: create,
    fields: [
      'OCI.Linux.Resources.Devices*',
      'OCI.Linux.Resources.Pids*',
      'OCI.Linux.Resources.BlockIO*',
      'OCI.Linux.Resources.Network*',
    ],
    genpolicy:
      'Absent (`allow_create_container_input:148`, `allow_create_container_input:152`, `allow_create_container_input:153`, `allow_create_container_input:154`)',
  },
  {
    method: create,
    fields: [
      'OCI.Linux.Resources',
      'OCI.Linux.Resources.Memory*',
      'OCI.Linux.Resources.CPU*',
      'OCI.Linux.Resources.HugepageLimits*',
    ],
    unread: ['Memory', 'Cpu', 'HugepageLimits'],
  },
  { method: create, fields: ['OCI.Linux.CgroupsPath'], unread: ['CgroupsPath'] },
  {
    method: create,
    fields: ['OCI.Linux.Seccomp*'],
    genpolicy: 'Absent (`allow_create_container_input:155`)',
  },
  {
    method: create,
    fields: ['OCI.Linux.RootfsPropagation', 'OCI.Linux.MountLabel'],
    genpolicy: 'Empty (`allow_create_container_input:149`, `allow_create_container_input:147`)',
  },
  {
    method: create,
    fields: ['OCI.Linux.IntelRdt*'],
    genpolicy: 'Absent (`allow_create_container_input:151`)',
  },
  {
    method: create,
    fields: ['OCI.Linux.UIDMappings*', 'OCI.Linux.GIDMappings*'],
    genpolicy: 'Empty (`allow_create_container_input:150`, `allow_create_container_input:146`)',
  },
  { method: create, fields: ['OCI.Hooks*'], genpolicy: 'Absent (`allow_create_container_input:141`)' },
  {
    method: create,
    fields: ['OCI.Solaris*', 'OCI.Windows*'],
    genpolicy: 'Absent (`allow_create_container_input:142`, `allow_create_container_input:143`)',
  },
  { method: create, fields: ['OCI.Version'], genpolicy: 'Equal (`CreateContainerRequest:107`)' },
  {
    method: create,
    fields: ['OCI', 'OCI.Process', 'OCI.Process.User', 'OCI.Root', 'OCI.Linux'],
    genpolicy: 'Required: without one the comparisons of its fields are undefined',
  },
  {
    method: create,
    fields: ['storages'],
    genpolicy:
      'As many as the document has, besides those of images (`allow_storages:1245`), each like one of the document (`allow_storages:1248`). One of the document can match several',
  },
  {
    method: create,
    fields: ['storages[].driver'],
    genpolicy:
      'Equal (`allow_storage:1260`); `blk` or `scsi` for an emptyDir on a disk (`allow_storage:1298`, `allow_storage:1288`); `image_guest_pull` (`allow_storage:1269`)',
  },
  {
    method: create,
    fields: ['storages[].source'],
    genpolicy:
      'Equal or matches (`allow_storage_source:1332`, `allow_storage_source:1345`); of a disk any address (`allow_storage:1299`, `allow_storage:1289`). **The image of `image_guest_pull` is not compared**: a TODO (`allow_storage:1282`)',
  },
  {
    method: create,
    fields: ['storages[].fstype', 'storages[].fs_group*', 'storages[].shared'],
    genpolicy:
      'Equal (`allow_storage_base:1312`, `allow_storage_base:1311`, `allow_storage_base:1313`); fixed for an image (`allow_storage:1270`, `allow_storage:1271`, `allow_storage:1272`)',
  },
  {
    method: create,
    fields: ['storages[].driver_options*'],
    genpolicy:
      'Equal, in the same order (`allow_storage_base:1310`); of an image not compared: a TODO (`allow_storage:1281`)',
  },
  {
    method: create,
    fields: ['storages[].options*'],
    genpolicy:
      "Equal, in the same order (`allow_storage_options:1363`), if the document's driver is not `blk`; none for an image (`allow_storage:1273`)",
  },
  {
    method: create,
    fields: ['storages[].mount_point'],
    genpolicy:
      "Matches the document's pattern (`allow_mount_point:1382`, `allow_mount_point:1400`, `allow_mount_point:1412`); of a disk the name of its address (`allow_mount_point_by_device_id:1445`); of an image its root (`allow_storage:1278`)",
  },
  {
    method: create,
    fields: ['devices*'],
    genpolicy:
      'VFIO: as many as the document has (`allow_vfio_device_cdi_correlation:568`) or none (`allow_vfio_device_cdi_correlation:591`), with id, type, path in the guest and the form of the addresses (`allow_vfio_device:534`, `allow_vfio_device:536`, `allow_vfio_device:538`, `allow_vfio_device:542`). Volumes: the path in the container alone (`allow_volume_devices:506`)',
  },
  { method: create, fields: ['sandbox_pidns'], genpolicy: 'Equal (`CreateContainerRequest:95`)' },
  { method: create, fields: ['string_user*'], genpolicy: 'Absent (`allow_create_container_input:138`)' },
  { method: create, fields: ['shared_mounts*'], genpolicy: 'Empty (`allow_create_container_input:137`)' },
  {
    method: create,
    fields: ['container_id'],
    genpolicy:
      'Not compared: a key of the state, with which one id names one container of the document (`CreateContainerRequest:127`)',
  },
  { method: create, fields: ['exec_id'], unread: ['exec_id'] },
  {
    method: create,
    fields: ['stdin_port', 'stdout_port', 'stderr_port'],
    unread: ['stdin_port', 'stdout_port', 'stderr_port'],
  },

  {
    method: exec,
    fields: ['process.Args*'],
    genpolicy:
      "A probe's command of the container (`ExecProcessRequest:1683`), or a command or a pattern of the settings, for all containers (`ExecProcessRequest:1667`, `ExecProcessRequest:1699`)",
  },
  { method: exec, fields: ['process.Env*'], genpolicy: 'As of the container (`allow_process_common:834`)' },
  {
    method: exec,
    fields: ['process.User*'],
    genpolicy: "As of the container (`allow_process_common:833`); the user's name is not read",
  },
  { method: exec, fields: ['process.Cwd'], genpolicy: 'As of the container (`allow_process_common:830`)' },
  {
    method: exec,
    fields: ['process.Terminal'],
    genpolicy:
      'Equal for a probe (`allow_probe_process:870`); any for a command of the settings (`allow_interactive_process:855`)',
  },
  { method: exec, fields: ['process.Capabilities*'], genpolicy: 'None (`allow_exec_caps:1452`)' },
  {
    method: exec,
    fields: ['process.NoNewPrivileges'],
    genpolicy: 'As of the container (`allow_process_common:831`)',
  },
  {
    method: exec,
    fields: ['process.ApparmorProfile', 'process.SelinuxLabel'],
    genpolicy: 'Empty (`allow_exec_process_input:1713`, `allow_exec_process_input:1712`)',
  },
  {
    method: exec,
    fields: ['process.Rlimits*', 'process.ConsoleSize*', 'process.OOMScoreAdj'],
    unread: ['Rlimits', 'ConsoleSize', 'OOMScoreAdj'],
  },
  {
    method: exec,
    fields: ['process'],
    genpolicy: 'Required: without it the comparisons of its fields are undefined',
  },
  { method: exec, fields: ['string_user*'], genpolicy: 'Absent (`allow_exec_process_input:1709`)' },
  {
    method: exec,
    fields: ['container_id'],
    genpolicy: 'A container that was created (`get_state_container:1657`)',
  },
  {
    method: exec,
    fields: ['exec_id', 'stdin_port', 'stdout_port', 'stderr_port'],
    unread: ['exec_id', 'stdin_port', 'stdout_port', 'stderr_port'],
  },

  {
    method: 'CopyFile',
    fields: ['path'],
    genpolicy:
      'Begins with the prefix of the settings, which ends after the id of a mount (`allow_copy_file_path:1618`): any name may follow, and anything below it. No `..` (`allow_copy_file_path:1610`)',
  },
  {
    method: 'CopyFile',
    fields: ['file_mode'],
    genpolicy:
      'A file, a directory (`allow_copy_file:1580`, `allow_copy_file:1589`) or a link below a directory (`allow_copy_file:1600`), whose target is relative without `..` (`allow_copy_file:1604`, `allow_copy_file:1602`). Permissions are not read',
  },
  {
    method: 'CopyFile',
    fields: ['data', 'file_size', 'offset', 'dir_mode', 'uid', 'gid'],
    unread: ['file_size', 'offset', 'dir_mode'],
  },

  { method: sandbox, fields: ['hostname', 'dns*'], unread: ['hostname', 'dns'] },
  {
    method: sandbox,
    fields: ['storages*'],
    genpolicy: 'Each is equal to one of the settings (`allow_sandbox_storage:1564`). Storages may be missing',
  },
  { method: sandbox, fields: ['sandbox_pidns'], genpolicy: 'False (`CreateSandboxRequest:1630`)' },
  {
    method: sandbox,
    fields: ['guest_hook_path', 'kernel_modules*'],
    genpolicy: 'Empty (`CreateSandboxRequest:1623`, `CreateSandboxRequest:1626`)',
  },
  { method: sandbox, fields: ['sandbox_id'], genpolicy: 'Not read here; the annotations of containers are' },

  {
    method: 'UpdateInterface',
    fields: ['interface*'],
    genpolicy:
      'The name is not `lo` (`UpdateInterfaceRequest:1752`), the address not zero (`UpdateInterfaceRequest:1756`), no flag but `NOARP` (`UpdateInterfaceRequest:1748`)',
  },
  {
    method: 'UpdateRoutes',
    fields: ['routes*'],
    genpolicy:
      'No route of the device `lo` (`UpdateRoutesRequest:1734`) or with a source in 127.0.0.0/8 or ::1 (`UpdateRoutesRequest:1730`)',
  },
  {
    method: 'AddARPNeighbors',
    fields: ['neighbors*'],
    genpolicy:
      'Not of the device `lo` (`AddARPNeighborsRequest:1768`), no mask (`AddARPNeighborsRequest:1769`), not in 127.0.0.0/8 (`AddARPNeighborsRequest:1771`), states 2 and 128 (`AddARPNeighborsRequest:1773`), flags within 136 (`AddARPNeighborsRequest:1774`)',
  },
];

/** Returns the row of a field. Throws if none has it. */
export function rowOf(method: string, field: string): ComparedField {
  let found: { readonly row: ComparedField; readonly length: number } | undefined;
  for (const row of comparedFields) {
    if (row.method !== method) continue;
    for (const name of row.fields) {
      const isMatch = name.endsWith('*') ? field.startsWith(name.slice(0, -1)) : field === name;
      if (isMatch && name.length > (found?.length ?? 0)) found = { row, length: name.length };
    }
  }
  if (found === undefined)
    throw new Error(`no row of tests/genpolicy/compared-fields.ts has ${method} ${field}`);
  return found.row;
}
