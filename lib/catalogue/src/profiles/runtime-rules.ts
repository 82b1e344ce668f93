import type { ProfileRule } from './profile.js';

/** What the runtimes differ in. */
interface Runtime {
  /** Whether the host shares files, which runtime-rs names after its own. */
  readonly sharing: 'rs' | 'go' | 'none';
}

const shared = '/run/kata-containers/shared/containers/';

const annotations = 'container.claimed.annotations';

/** Returns the rules about files, roots and storages: what a runtime chooses. */
export function runtimeRules({ sharing }: Runtime): readonly ProfileRule[] {
  const copies = sharing === 'none';
  const storages = copies ? '[["image_guest_pull", "overlay", "/run/kata-containers/"]]' : undefined;
  const isOwnPause = copies;
  const given = (name: string, test: string): string =>
    `(!("${name}" in ${annotations}) || ${annotations}["${name}"]${test})`;
  const type = '"io.kubernetes.cri.container-type"';
  const isType = '== (container.claimed.name == "" ? "sandbox" : "container")';
  const number = copies ? 1 : 0;
  return [
    ...container([
      {
        name: 'root-paths',
        description: 'Each container uses its own root filesystem.',
        expression: copies
          ? 'request.OCI.Root.Path == "/run/kata-containers/" + request.container_id + "/rootfs"'
          : `request.OCI.Root.Path in [
  "${shared}" + request.container_id + "/rootfs",
  "${shared}passthrough/" + request.container_id + "/rootfs",
  "/run/kata-containers/" + request.container_id + "/rootfs"
]`,
        message: 'this is not the root filesystem of this container',
      },
      {
        name: 'mount-storages',
        description: 'A mount of a volume that the guest creates has its storage.',
        expression: `mounts.all(m, !(m.source.within("/run/kata-containers/sandbox/storage") ||
    m.source.within("/run/kata-containers/sandbox/ephemeral") || m.source.contains("/watchable/")) ||
  request.storages.exists(s, s.mount_point == m.source)${sharing === 'rs' ? ' ||\n  m.source in sandbox.sources' : ''})`,
        message: 'the storage of a mount is missing',
      },
      {
        name: 'annotation-values',
        description: "Annotations about the container match the sandbox and the container's name.",
        expression: `${given('io.kubernetes.cri.sandbox-id', ' == sandbox.id')} &&
${isOwnPause ? `${type} in ${annotations} && ${annotations}[${type}] ${isType}` : given('io.kubernetes.cri.container-type', ` ${isType}`)} &&
${given('io.katacontainers.pkg.oci.container_type', ' == (container.claimed.name == "" ? "pod_sandbox" : "pod_container")')} &&
${given('io.kubernetes.cri.sandbox-namespace', '.matches(values.namespace)')} &&
(!("io.kubernetes.container.terminationMessagePath" in ${annotations}) || values.container.exists(c,
  c.name != "" && c.name == container.claimed.name &&
  c.termination == ${annotations}["io.kubernetes.container.terminationMessagePath"]))`,
        message: 'an annotation does not match this container, its pod or its namespace',
      },
      {
        name: 'storages',
        description: 'Storages of the guest: those of the mounts' + (copies ? ', and the image.' : '.'),
        expression: `values.container.exists(c, c.name == container.claimed.name && request.storages.all(s,
  ${
    storages === undefined
      ? ''
      : `${storages}.exists(w, s.driver == w[0] && s.fstype == w[1] &&
    s.mount_point.within(w[2]) && s.options.all(o, o in w)) ||
  `
  }c.storages.exists(w, s.driver == w.driver && s.fstype == w.type &&
    (s.mount_point == w.to || w.to.endsWith("/") && s.mount_point.within(w.to)) &&
    s.options.all(o, o in w.options || o + "?" in w.options || o in [w.driver, w.type, w.to]) &&
    s.driver_options.all(o, o in w.options || o in [w.driver, w.type, w.to]) &&
    w.options.all(o, o.endsWith("?") || o in s.options + s.driver_options))))`,
        message: 'the workload does not have this storage',
      },
      {
        name: 'storages-complete',
        description: 'No storage is missing, and each volume has its own mount point.',
        // Another container's request may have the storage of a watched volume: the order of their starts is not known.
        expression: `request.storages.all(s, request.storages.exists_one(o, o.mount_point == s.mount_point)) &&
values.container.exists(c, c.name == container.claimed.name &&
  request.storages.filter(s, s.driver != "watchable-bind").size() == ${number} + c.storages.filter(w, w.driver != "watchable-bind").size() &&
  request.storages.size() <= ${number} + c.storages.filter(w, w.driver != "watchable-bind").size() +
    c.mounts.filter(w, w.watched).size() &&
  ${copies ? 'request.storages.exists(s, s.driver == "image_guest_pull") &&\n  ' : ''}c.storages.all(w, w.driver == "watchable-bind" || request.storages.exists(s, s.driver == w.driver)))`,
        message: 'a storage of the workload is missing or duplicate',
      },
      ...(copies ? [pulledImages, volumeDisks] : []),
      ...(sharing === 'rs' ? hostFiles : [ownFiles]),
    ]),
    ...sandboxStorages(copies),
  ];
}

type Row = Omit<ProfileRule, 'method'>;

function container(rows: readonly Row[]): readonly ProfileRule[] {
  return rows.map((row) => ({ ...row, method: 'CreateContainer' }));
}

const pulledImages: Row = {
  name: 'pulled-images',
  description: 'The image that the guest pulls becomes the root filesystem of this container.',
  expression: `request.storages.all(s, s.driver != "image_guest_pull" || !s.shared && s.options.size() == 0 &&
  s.mount_point == "/run/kata-containers/" + request.container_id + "/rootfs")`,
  message: 'the image would be pulled to another mount point',
};

const disks = '/run/kata-containers/sandbox/storage/';

const volumeDisks: Row = {
  name: 'volume-disks',
  description: 'All mounts of an emptyDir are of the same disk.',
  expression: `mounts.all(m, !m.source.startsWith("${disks}") ||
  mounts.all(o, o.source == m.source || !values.volumes.exists(v,
    (container.claimed.name + "=" + m.destination) in v && (container.claimed.name + "=" + o.destination) in v)) &&
  sandbox.sources.all(s, s == m.source || !s.startsWith("${disks}") ||
    sandbox.sources[s].all(k, !(k == container.claimed.name + "=" + m.destination || values.volumes.exists(v,
      (container.claimed.name + "=" + m.destination) in v && k in v)))))`,
  message: 'this volume has another disk already',
};

const notTheSource = 'this is not the source of this mount';

const last = (path: string): string => `${path}.split("/")[${path}.split("/").size() - 1]`;
const parts = 'm.destination.split("/").filter(p, p != "")';
const nameOfMount = `${parts}[${parts}.size() - 1]`;

const ownFiles: Row = {
  name: 'file-sources',
  description: 'Sources in the shared directory are named by container and mount point.',
  expression: `mounts.all(m, m.type != "bind" || !m.source.within("${shared}") ||
  m.source.matches("^${shared}(watchable/)?[A-Za-z0-9_.]+(-[A-Za-z0-9_.]+)*-[a-z0-9]{16}-[^/]+$") &&
  ${last('m.source')}.startsWith(request.container_id + "-") &&
  m.source.endsWith("-" + ${nameOfMount}) &&
  ${last('m.source')}.size() == request.container_id.size() + 18 + ${nameOfMount}.size())`,
  message: notTheSource,
};

const isNamed = (name: string): string =>
  `m.source.endsWith("-" + ${name}) && m.source.split("/sandbox-")[1].size() == 9 + ${name}.size()`;

/** runtime-rs names what it shares `sandbox-HEX8-NAME`, where NAME is the last part of the host's path. */
const hostFiles: readonly Row[] = [
  {
    name: 'file-paths',
    description: "Sources in the shared directory are named after the pod's volumes.",
    expression: `mounts.all(m, m.type != "bind" || !m.source.within("${shared}") ||
  m.source.matches("^${shared}passthrough/(watchable/)?sandbox-[0-9a-f]{8}-[^/]+$"))`,
    message: notTheSource,
  },
  {
    name: 'file-sources',
    description:
      "Sources in the shared directory are named after the pod's volumes, and those of its own files.",
    expression: `values.container.exists(c, c.name == container.claimed.name &&
  mounts.all(m, m.type != "bind" || !m.source.within("${shared}") || (
  c.mounts.exists(w, w.to == m.destination) ?
    c.mounts.exists(w, w.to == m.destination && (w.watched || !m.source.contains("/watchable/")) &&
      (w.name != "" && ${isNamed('w.name')} ||
        w.name_pattern != "" && m.source.matches(w.name_pattern))) :
  !m.source.contains("/watchable/") && (
    m.destination == "/etc/resolv.conf" && ${isNamed('"resolv.conf"')} ||
    c.name != "" && (
      m.destination == "/etc/hostname" && ${isNamed('"hostname"')} ||
      m.destination == "/etc/hosts" && m.source.matches("/sandbox-.{8}-(etc-)?hosts$") ||
      m.destination == c.termination && m.source.matches("/sandbox-.{8}-[0-9a-f]{8}$"))))))`,
    message: notTheSource,
  },
];

function sandboxStorages(copies: boolean): readonly ProfileRule[] {
  const rows = [
    `["virtio-fs", "virtiofs", "${shared}", "nodev?", "dax?", "dax=inode?"]`,
    '["ephemeral", "tmpfs", "/run/kata-containers/sandbox/shm", "noexec", "nosuid", "nodev", "mode=1777", "size=67108864"]',
  ].slice(copies ? 1 : 0);
  const sources = [`["${shared}", "kataShared"]`, '["/run/kata-containers/sandbox/shm", "shm"]'].slice(
    copies ? 1 : 0,
  );
  return [
    {
      method: 'CreateSandbox',
      name: 'storages',
      description: 'Storages of the sandbox: driver, filesystem, mount point, options.',
      expression: `request.storages.all(s, [
  ${rows.join(',\n  ')},
].exists(w, s.driver == w[0] && s.fstype == w[1] &&
  (s.mount_point == w[2] || w[2].endsWith("/") && s.mount_point.within(w[2])) &&
  s.options.all(o, o in w || o + "?" in w) &&
  (s.driver == "image_guest_pull" || s.driver_options.all(o, o in w)) &&
  w.all(o, o.endsWith("?") || o in [s.driver, s.fstype, w[2]] + s.options + s.driver_options)))`,
      message: 'the workload does not have this storage',
    },
    {
      method: 'CreateSandbox',
      name: 'storages-complete',
      description: 'Each storage of the sandbox is present once, with its source.',
      expression: `request.storages.size() == ${sources.length} && [${sources.join(', ')}]
  .all(w, request.storages.exists(s, s.mount_point == w[0] && s.source == w[1])) &&
request.storages.all(s, !s.shared && !has(s.fs_group))`,
      message: 'the sandbox has other storages',
    },
  ];
}

/** Rules about files that are copied into the guest, which have values. */
export const copiedNames: ProfileRule = {
  method: 'CopyFile',
  name: 'copied-names',
  description: 'Only files that a container mounts are copied.',
  expression: 'values.copied.exists(n, path.endsWith("-" + n) || path.contains("-" + n + "/"))',
  message: 'no container of the workload mounts this file',
};

/** The directory of copied files. */
export const copiedPaths: ProfileRule = {
  method: 'CopyFile',
  name: 'files',
  description: 'Files are copied to the shared directory.',
  expression: `["${shared}"].exists(p, path == p || p.endsWith("/") && path.within(p))`,
  message: 'the workload has no file at this path',
};

/** Rules about volumes in memory, which the Go runtime resizes. */
export const resizeRules: readonly ProfileRule[] = [
  {
    method: 'UpdateEphemeralMounts',
    name: 'storages',
    description: 'Storages that can be resized are tmpfs volumes.',
    expression: `request.storages.all(s, [["ephemeral", "tmpfs", "/run/kata-containers/sandbox/ephemeral/"]]
  .exists(w, s.driver == w[0] && s.fstype == w[1] &&
    (s.mount_point == w[2] || w[2].endsWith("/") && s.mount_point.within(w[2]))))`,
    message: 'the workload does not have this storage',
  },
  {
    method: 'UpdateEphemeralMounts',
    name: 'sizes',
    description: 'Only the size of a tmpfs volume changes.',
    expression: `request.storages.all(s, s.source == "tmpfs" && s.driver_options.size() == 0 && !has(s.fs_group) && !s.shared &&
  s.options.all(o, o == "remount" || o.matches("^(size|nr_inodes)=[0-9]+[kKmMgG%]?$")))`,
    message: 'only the size of a tmpfs volume can be changed',
  },
  {
    method: 'UpdateEphemeralMounts',
    name: 'volumes',
    description: 'Volumes that can be resized.',
    expression: 'request.storages.all(s, s.mount_point in values.memory_volumes)',
    message: 'this is not a tmpfs volume of the workload',
  },
];

const localDirectory = `"${shared}" + sandbox.id + "/rootfs/local/"`;

/** Rules about volumes whose directory the guest creates in that of the pause container: the Go runtime's for an emptyDir. */
export const localVolumeRules: readonly ProfileRule[] = container([
  {
    name: 'mounts-isolated',
    description:
      'No mount source is in the directory of a container, its own or another, but for volumes that the guest creates there.',
    expression: `mounts.all(m, m.type == "local" && values.container.exists(c, c.mounts.exists(w,
    w.type == "local" && m.source == ${localDirectory} + w.name)) ||
  !m.source.split("/").exists(p, p == "rootfs" || p == request.container_id || p in sandbox.containers))`,
    message: 'the mount would expose the files of a container',
  },
  {
    name: 'local-volumes',
    description: 'The guest creates the volume directories that are mounted, and no other.',
    expression: `request.storages.all(s, s.driver != "local" || mounts.exists(m, m.type == "local" && m.source == s.mount_point)) &&
mounts.all(m, m.type != "local" || request.storages.exists(s, s.driver == "local" && s.mount_point == m.source))`,
    message: 'no mount uses this directory, or a mount has none',
  },
  {
    name: 'local-directories',
    description: 'A volume that the guest creates has its own directory.',
    expression: `mounts.all(m, m.type != "local" || values.container.exists(c, c.name == container.claimed.name &&
  c.mounts.exists(w, w.type == "local" && w.to == m.destination && m.source == ${localDirectory} + w.name)))`,
    message: 'this is the directory of another volume',
  },
]);

/** No volume is in the directory of a container. */
export const mountsIsolated: readonly ProfileRule[] = container([
  {
    name: 'mounts-isolated',
    description: 'No mount source is in the directory of a container, its own or another.',
    expression: `mounts.all(m, !m.source.split("/").exists(p, p == "rootfs" || p == request.container_id ||
  p in sandbox.containers))`,
    message: 'the mount would expose the files of a container',
  },
]);
