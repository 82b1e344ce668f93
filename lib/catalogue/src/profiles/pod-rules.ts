import { maxPositions, type ProfileRule } from './profile.js';

/** A test of the claimed container: `c` has its values. */
function own(test: string): string {
  return `values.container.exists(c, c.name == container.claimed.name && ${test})`;
}

const positions = `[${Array.from({ length: maxPositions }, (_, index) => index).join(', ')}]`;

const shared = '/run/kata-containers/shared/containers/';

/** Without an entrypoint in the input, what the pod has are the last words. */
const commandLine = `(c.last_args.size() == 0 ? args == c.args || c.any_args :
  c.last_args.size() <= ${maxPositions} && args.size() >= c.last_args.size() &&
  ${positions}.all(i, i >= c.last_args.size() || args[args.size() - 1 - i] == c.last_args[c.last_args.size() - 1 - i]))`;

const processes = { CreateContainer: 'request.OCI.Process', ExecProcess: 'request.process' } as const;
type ProcessMethod = keyof typeof processes;

/** Rules about a process: that of a container, or of an exec. */
export const processRules: readonly ProfileRule[] = [
  ...processRulesOf('CreateContainer'),
  ...processRulesOf('ExecProcess'),
];

function processRulesOf(method: ProcessMethod): readonly ProfileRule[] {
  const process = processes[method];
  const isExec = method === 'ExecProcess';
  const rows: readonly Omit<ProfileRule, 'method'>[] = [
    {
      name: 'commands',
      description: 'The whole command line, by container.',
      expression: own(isExec ? 'c.exec.exists(e, args == e)' : commandLine),
      message: 'the workload does not have this command, or not in this container',
    },
    {
      name: 'environment',
      description: 'Environment variables with their values, those of services, and the name of the pod.',
      expression: own(`env.all(name,
  name + "=" + env[name] in c.env || name in c.any_env ||
  c.env_like.exists(l, l.name == name && env[name].matches(l.pattern)) ||
  c.name != "" && (
    name in service_env && (values.service_links || service_env[name] == "KUBERNETES") ||
    name == "HOSTNAME" && env[name].matches(values.host_name)) ||
  c.other_env && !c.env.exists(v, v.startsWith(name + "=")) && !(name in c.any_env) &&
    !c.env_like.exists(l, l.name == name) && name != "HOSTNAME" &&
    !name.startsWith("KUBERNETES_SERVICE_") && !name.startsWith("KUBERNETES_PORT"))`),
      message: 'the environment has a variable or value that the workload does not have',
    },
    {
      name: 'environment-complete',
      description: 'No variable of the pod or of its image is missing.',
      expression: own(`
  c.env.all(v, [v.split("=")[0]].all(n, n in env && v == n + "=" + env[n] || n in c.optional_env)) &&
  c.any_env.all(n, n in env || n in c.optional_env) &&
  c.env_like.all(l, l.name in env || l.name in c.optional_env) &&
  (c.name == "" || "HOSTNAME" in env)`),
      message: 'a variable of the workload is missing',
    },
    {
      name: 'directories',
      description: 'The working directory.',
      expression: own('(cwd == c.cwd || c.cwd == "*" && cwd.startsWith("/"))'),
      message: 'the workload does not have this working directory',
    },
    {
      name: 'users',
      description: 'The user and group, as numbers.',
      expression: own(`c.user in [
  string(user.UID) + ":" + string(user.GID), string(user.UID) + ":*", "*:" + string(user.GID), "*:*"]`),
      message: 'the workload does not have this user',
    },
    {
      name: 'groups',
      description: 'Supplementary groups, as numbers.',
      expression: own(
        '("*" in c.groups || user.AdditionalGids.all(g, string(g) in c.groups || g == user.GID && "user" in c.groups))',
      ),
      message: 'the workload is not in this group',
    },
    {
      name: 'terminals',
      description: 'Whether it has a terminal.',
      expression: isExec ? '!terminal' : own('terminal == c.terminal'),
      message: 'the terminal setting differs from the workload',
    },
    {
      name: 'privileges',
      description: 'The no_new_privs flag.',
      expression: own(`${process}.NoNewPrivileges == c.no_new_privileges`),
      message: 'the no_new_privs flag differs from the workload',
    },
    {
      name: 'capabilities',
      description: 'Capabilities, in any of the five sets.',
      expression: own('capabilities.all(k, k in c.capabilities)'),
      message: 'the workload does not have this capability',
    },
    {
      name: 'capability-sets',
      description: 'Capabilities are in the bounding, effective and permitted sets, as engines set them.',
      // An exec without capabilities gets those of its container.
      expression: `${isExec ? 'capabilities.size() == 0 ||\n' : ''}${own(`c.capabilities.all(k,
  k in ${process}.Capabilities.Bounding && k in ${process}.Capabilities.Effective && k in ${process}.Capabilities.Permitted)`)}`,
      message: 'a capability of the workload is missing in one of the sets',
    },
    {
      name: 'labels',
      description: 'Users are numbers, and there are no SELinux labels.',
      expression: `!has(request.string_user) && ${process}.User.Username == "" &&
${process}.SelinuxLabel == ""${isExec ? ` &&\n${process}.ApparmorProfile in ["", "cri-containerd.apparmor.d"]` : ''}`,
      message: 'the process has a label, or a user name, that the workload does not have',
    },
    {
      name: 'gained-capabilities',
      description: 'Capabilities are not kept when the user changes, and are not inherited.',
      expression: `${process}.Capabilities.Ambient.size() == 0 && ${process}.Capabilities.Inheritable.size() == 0`,
      message: 'the workload has no ambient or inheritable capabilities',
    },
    {
      name: 'side-channels',
      description: 'Standard streams use calls, not vsock ports of the host.',
      expression: 'request.stdin_port == 0 && request.stdout_port == 0 && request.stderr_port == 0',
      message: 'no process of the workload uses ports for its standard streams',
    },
    {
      name: 'process-limits',
      description: 'Rlimits, OOM score and console size are as engines set them.',
      expression: `${process}.Rlimits.all(l, l.Type == "RLIMIT_NOFILE" && l.Soft <= l.Hard && l.Soft >= 1024u &&
  ${process}.Rlimits.size() == 1) &&
${process}.OOMScoreAdj >= -998 && ${process}.OOMScoreAdj <= 1000 && (terminal || !has(${process}.ConsoleSize))`,
      message: 'no process of the workload has such rlimits, such an OOM score, or a console size',
    },
  ];
  return rows.map((row) => ({ ...row, method }));
}

/** What of a mount depends on the container. */
const access = '$access';
const termination = '$termination';

/** Mounts that engines make: type, mount point, source, options; one with a question mark is not of every engine or kernel. */
const everyMounts: readonly (readonly string[])[] = [
  ['proc', '/proc', 'proc', 'nosuid', 'noexec', 'nodev'],
  ['tmpfs', '/dev', 'tmpfs', 'nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  ['devpts', '/dev/pts', 'devpts', 'nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  ['mqueue', '/dev/mqueue', 'mqueue', 'nosuid', 'noexec', 'nodev'],
  ['sysfs', '/sys', 'sysfs', 'nosuid', 'noexec', 'nodev', 'ro'],
  ['bind', '/dev/shm', '/run/kata-containers/sandbox/shm', 'rbind'],
];
const pauseMounts: readonly (readonly string[])[] = [
  ['bind', '/etc/resolv.conf', shared, 'rbind', 'ro', 'nosuid?', 'nodev?', 'noexec?'],
];
const ownMounts: readonly (readonly string[])[] = [
  [
    'cgroup',
    '/sys/fs/cgroup',
    'cgroup',
    'nosuid',
    'noexec',
    'nodev',
    'relatime',
    'nsdelegate?',
    'memory_recursiveprot?',
    'ro',
  ],
  ['bind', '/etc/resolv.conf', shared, 'rbind', 'rprivate', access],
  ['bind', '/etc/hostname', shared, 'rbind', 'rprivate', access],
  ['bind', '/etc/hosts', shared, 'rbind', 'rprivate', 'rw'],
  ['bind', termination, shared, 'rbind', 'rprivate', 'rw'],
];

/** Returns the mounts that a profile allows each container, besides those that a document gives it. */
export function engineMounts(container: {
  readonly isPause: boolean;
  readonly readOnlyRoot: boolean;
  readonly termination: string;
}): readonly (readonly string[])[] {
  const words: ReadonlyMap<string, string> = new Map([
    [access, container.readOnlyRoot ? 'ro' : 'rw'],
    [termination, container.termination],
  ]);
  return [...everyMounts, ...(container.isPause ? pauseMounts : ownMounts)].map((row) =>
    row.map((word) => words.get(word) ?? word),
  );
}

const celWords: ReadonlyMap<string, string> = new Map([
  [access, 'c.read_only_root ? "ro" : "rw"'],
  [termination, 'c.termination'],
]);

function celWord(word: string): string {
  return celWords.get(word) ?? JSON.stringify(word);
}

function celRows(rows: readonly (readonly string[])[]): string {
  return rows.map((row) => `    [${row.map(celWord).join(', ')}],\n`).join('');
}

const engineRows = `[\n${celRows(everyMounts)}  ] + (c.name == "" ? [\n${celRows(pauseMounts)}  ] : [\n${celRows(ownMounts)}  ])`;

function points(rows: readonly (readonly string[])[]): string {
  return `[${rows.map(([, point = '']) => celWord(point)).join(', ')}]`;
}

const enginePoints = `(${points(everyMounts)} +
    (c.name == "" ? ${points(pauseMounts)} : ${points(ownMounts)}))`;

/** A watched volume and the host's directory of which it is a copy are one volume. */
function apart(one: string, other: string): string {
  return `!(${one}.source.contains("/watchable/") && ${other}.source.endsWith("/" + ${one}.source.split("/watchable/")[1]))`;
}

const original = '(m.source.split("/watchable/")[0] + "/" + m.source.split("/watchable/")[1])';

/** Rules about a container that are the same with each runtime. */
export const containerRules: readonly ProfileRule[] = (
  [
    {
      name: 'roots',
      description: 'Whether the root filesystem is read-only.',
      expression: own('request.OCI.Root.Readonly == c.read_only_root'),
      message: 'the read-only flag of the root filesystem differs from the workload',
    },
    {
      name: 'mounts',
      description:
        'Mounts: those of the pod, and of those of the engine the ones that the pod does not replace.',
      expression: own(`mounts.all(m,
  c.mounts.exists(w, w.to == m.destination) ?
    c.mounts.exists(w, w.to == m.destination && m.type == w.type &&
      (m.source == w.from || w.from.endsWith("/") && m.source.within(w.from)) &&
      m.options.all(o, o in w.options || o + "?" in w.options || o in [w.type, w.to, w.from]) &&
      w.options.all(o, o.endsWith("?") || o in m.options)) :
  (${engineRows}).filter(w, w[1] == m.destination).exists(w, m.type == w[0] &&
    (m.source == w[2] || w[2].endsWith("/") && m.source.within(w[2])) &&
    m.options.all(o, o in w || o + "?" in w) &&
    w.all(o, o.endsWith("?") || o in [m.type, m.destination, w[2]] + m.options)))`),
      message: 'the workload does not have this mount',
    },
    {
      name: 'mounts-complete',
      description: 'No mount is missing.',
      expression: own(`
  ${enginePoints}.all(d, mounts.exists(m, m.destination == d)) &&
  c.mounts.all(w, mounts.exists(m, m.destination == w.to))`),
      message: 'a mount of the workload is missing',
    },
    {
      name: 'mount-order',
      description: 'No mount hides one below it.',
      expression: `mounts.size() <= ${maxPositions} && ${positions}.all(i, i >= mounts.size() ||
  ${positions}.all(j, j >= i || !mounts[j].destination.startsWith(
    mounts[i].destination + (mounts[i].destination.endsWith("/") ? "" : "/"))))`,
      message: 'the mount would hide another one',
    },
    {
      name: 'devices',
      description: 'Devices of the container.',
      expression: 'devices.size() == 0',
      message: 'the workload does not have this device',
    },
    {
      name: 'sysctls',
      description: 'Sysctls and their values: those of engines.',
      expression: `request.OCI.Linux.Sysctl.all(k, [k, request.OCI.Linux.Sysctl[k]] in [
  ["net.ipv4.ip_unprivileged_port_start", "0"],
  ["net.ipv4.ping_group_range", "0 2147483647"],
])`,
      message: 'the workload does not set this sysctl, or not to this value',
    },
    {
      name: 'pods',
      description: 'Names of the container, its pod and its host.',
      expression: `values.container.exists(c, c.name == container.claimed.name) &&
(request.OCI.Hostname == "" || request.OCI.Hostname.matches(values.host_name)) &&
(!("io.kubernetes.cri.sandbox-name" in container.claimed.annotations) ||
  container.claimed.annotations["io.kubernetes.cri.sandbox-name"].matches(values.pod_name))`,
      message: 'no pod or container of the workload has this name',
    },
    {
      name: 'annotations',
      description: 'Annotations are those of the engine, of the runtime and of the pod.',
      expression: `container.claimed.annotations.all(a, a.matches("^io[.]kubernetes[.]cri[.](sandbox-(id|name|namespace|uid|log-directory|memory|cpu-(period|quota|shares))|container-(type|name)|(podsandbox[.])?image-name)$|^io[.]kubernetes[.]container[.](name|hash|ports|restartCount|preStopHandler|terminationMessage(Path|Policy))$|^io[.]katacontainers[.](pkg[.]oci[.](bundle_path|container_type)|config[.]hypervisor[.]cc_init_data)$") ||
  a == "nerdctl/network-namespace" || a in values.annotations)`,
      message: 'no pod of the workload has this annotation',
    },
    {
      name: 'storage-sources',
      description: 'Sources and groups of storages.',
      expression: `request.storages.all(s, (s.driver != "blk" || s.source.matches("^[0-9a-f]{2}(/[0-9a-f]{2})?$")) &&
  (s.driver != "scsi" || s.source.matches("^[0-9]+:[0-9]+$")) &&
  (s.driver != "ephemeral" || s.source == "tmpfs") &&
  (!has(s.fs_group) || s.fs_group.group_id in values.volume_groups))`,
      message: 'no storage of the workload is like this',
    },
    {
      name: 'images',
      description:
        'The image that the host claims, and the one that is pulled in the guest. The claim is not verified.',
      expression: own(`(c.name == "" ?
  container.claimed.image == "" && request.storages.all(s, s.driver != "image_guest_pull" || s.source == "pause") :
  container.claimed.image in c.images &&
  request.storages.all(s, s.driver != "image_guest_pull" || s.source in c.images))`),
      message: 'this is not the image of this container',
    },
    {
      name: 'volumes-isolated',
      description:
        'Two mounts have the same source only if they are of the same volume of the pod: those of a container.',
      expression: `mounts.all(m, !m.source.startsWith("/run/kata-containers/") || mounts.all(o, o.source != m.source &&
    ${apart('o', 'm')} &&
    ${apart('m', 'o')} ||
    o.destination == m.destination || values.volumes.exists(v,
      (container.claimed.name + "=" + m.destination) in v && (container.claimed.name + "=" + o.destination) in v)))`,
      message: 'this is the source of another volume',
    },
    {
      name: 'volumes-isolated-in-sandbox',
      description:
        'The same for all containers of the sandbox, also for removed ones if the sandbox keeps the volume.',
      expression: `mounts.all(m, m.source == "/run/kata-containers/sandbox/shm" || !(m.source in sandbox.sources) ||
  sandbox.sources[m.source].all(k, k == container.claimed.name + "=" + m.destination || values.volumes.exists(v,
    (container.claimed.name + "=" + m.destination) in v && k in v)))`,
      message: 'this is the source of another volume',
    },
    {
      name: 'watched-volumes-isolated',
      description: 'The same for a watched volume and the host’s directory of which it is a copy.',
      expression: `mounts.all(m, !m.source.contains("/watchable/") || !(${original} in sandbox.sources) ||
  sandbox.sources[${original}].all(k, k == container.claimed.name + "=" + m.destination || values.volumes.exists(v,
    (container.claimed.name + "=" + m.destination) in v && k in v)))`,
      message: 'this is the source of another volume',
    },
    {
      name: 'profiles',
      description: 'The AppArmor profile is the engine’s, or the one in the pod.',
      expression:
        'request.OCI.Process.ApparmorProfile in ["", "cri-containerd.apparmor.d"] + values.app_armor',
      message: 'no container of the workload has this profile',
    },
    {
      name: 'order',
      description:
        'The pause container runs before any other is created; init containers exit with 0 before later ones are created, and are not created again after that.',
      expression: `sandbox.id != "" && (container.claimed.name == "" ? sandbox.members.size() == 0 :
  sandbox.members.exists(m, m.name == "" && m.state == "running")) &&
${own(`
  c.exited.all(n, sandbox.members.exists(m, m.name == n && has(m.exit_code) && m.exit_code == 0)) &&
  c.started.all(n, sandbox.members.exists(m, m.name == n)) &&
  (!c.init || !sandbox.members.exists(m, m.name == c.name && has(m.exit_code) && m.exit_code == 0)) &&
  !sandbox.members.exists(m, m.name in c.before)`)}`,
      message: 'a container that must come first has not run, or has not exited with 0',
    },
  ] as const
).map((row) => ({ ...row, method: 'CreateContainer' }));

/** Rules about calls to the sandbox that have values. */
export const podRules: readonly ProfileRule[] = [
  {
    method: 'SignalProcess',
    name: 'signals',
    description: 'Signals, as numbers.',
    expression: 'signal in values.signals || values.any_signal',
    message: 'this signal is never sent to the workload',
  },
  {
    method: 'CreateSandbox',
    name: 'host-names',
    description: 'The hostname of the pod.',
    expression: 'request.hostname == "" || request.hostname.matches(values.host_name)',
    message: 'no pod of the workload has this hostname',
  },
];
