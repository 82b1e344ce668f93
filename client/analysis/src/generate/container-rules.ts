import { kataDirectory, sharedDirectory } from '@kata-agent/catalogue';
import { initdataAnnotation } from '@kata-agent/config';
import {
  cdiPrefix,
  celLiteral,
  gpuAnnotation,
  gpuCount,
  gpuNames,
  hostnames,
  maskedPaths,
  podNames,
  pullsImages,
  readOnlyPaths,
  rootPropagation,
  type RuntimeSetup,
  type Workload,
} from '@kata-agent/workloads';
import type { ExtraRule } from '../write/plan.js';

const claimedAnnotations = 'container.claimed.annotations';

const cdiAnnotations = `${claimedAnnotations}.filter(a, a.startsWith(${celLiteral(cdiPrefix)}))`;

const passed = 'request.devices.filter(d, d.container_path.startsWith("/dev/vfio/"))';

/** An address on the host and a path in the guest. */
const option = celLiteral(
  '^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f][.][0-7]=[0-9a-f]{2}([.][0-7])?(/[0-9a-f]{2}([.][0-7])?){0,7}$',
);

type Row = Omit<ExtraRule, 'method'>;

/** Rules for a container beyond its lists. */
export function containerRules(workloads: readonly Workload[], setup: RuntimeSetup): readonly ExtraRule[] {
  const rows = [
    pod(workloads),
    annotations(workloads, hasGpus(workloads, setup)),
    namespaces(workloads, setup),
    masked(workloads),
    root(setup),
    devices(workloads, hasGpus(workloads, setup)),
    nothingElse(workloads),
  ];
  return rows.map((row) => ({ ...row, method: 'CreateContainer' }));
}

function anyOf(forms: readonly string[]): string {
  return celLiteral(`^(${[...new Set(forms)].join('|')})$`);
}

function pod(workloads: readonly Workload[]): Row {
  const hosts = anyOf(workloads.map(hostnames));
  const pods = anyOf(workloads.map(podNames));
  const containers = workloads.flatMap((workload) => workload.containers);
  const names = ['', ...new Set(containers.map((container) => container.name))];
  const claimed = 'container.claimed.annotations';
  const name = '"io.kubernetes.cri.sandbox-name"';
  return {
    name: 'pods',
    description: 'Names of the container, its pod and its host. containers[].name, metadata.name, hostname',
    expression:
      `container.claimed.name in ${celLiteral(names)} &&\n` +
      `(request.OCI.Hostname == "" || request.OCI.Hostname.matches(${hosts})) &&\n` +
      `(!(${name} in ${claimed}) ||\n  ${claimed}[${name}].matches(${pods}))`,
    message: 'no pod or container of the workload has this name',
  };
}

/**
 * Annotations of containerd, of its CRI plug-in (`internal/cri/annotations`, 1.6 to 2.3), and of the runtimes. The Go runtime removes the
 * one that has this document (`create.go` of katautils, Kata 4.1), runtime-rs does not.
 */
const engineAnnotations =
  '^io[.]kubernetes[.]cri[.](sandbox-(id|name|namespace|uid|log-directory|memory|cpu-(period|quota|shares))|' +
  'container-(type|name)|(podsandbox[.])?image-name)$|^io[.]kubernetes[.]container[.](name|hash|ports|restartCount|preStopHandler|' +
  'terminationMessage(Path|Policy))$|^io[.]katacontainers[.](pkg[.]oci[.](bundle_path|container_type)|config[.]hypervisor[.]cc_init_data)$';

/** `runc` and the agent interpret some annotations. */
function annotations(workloads: readonly Workload[], withGpus: boolean): Row {
  const all = new Set(workloads.flatMap((workload) => [...workload.annotations.keys()]));
  const own = [...all].filter((key) => key !== initdataAnnotation);
  const gpuTest = withGpus ? ` || a.startsWith(${celLiteral(gpuAnnotation)})` : '';
  const ownTest = own.length === 0 ? '' : ` || a in ${celLiteral(own)}`;
  return {
    name: 'annotations',
    description: 'Annotations are those of the engine, of the runtime and of the pod. metadata.annotations',
    expression:
      `container.claimed.annotations.all(a, a.matches(${celLiteral(engineAnnotations)}) ||\n` +
      `  a == "nerdctl/network-namespace"${ownTest}${gpuTest})`,
    message: 'no pod of the workload has this annotation',
  };
}

/**
 * The guest never uses namespace paths of the host; in peer pods it joins one of its own network namespaces. A missing
 * namespace would be the guest's own, which all containers share.
 */
function namespaces(workloads: readonly Workload[], { networkNamespace }: RuntimeSetup): Row {
  const needed = [
    'uts',
    'mount',
    ...(workloads.some(({ hostIpc }) => hostIpc) ? [] : ['ipc']),
    ...(workloads.every(({ ownUsers }) => ownUsers) ? ['user'] : []),
  ];
  const types = ['ipc', 'uts', 'mount', 'cgroup', 'pid'];
  const users = workloads.some(({ ownUsers }) => ownUsers) ? ['user'] : [];
  const own = `n.Path == "" && n.Type in ${celLiteral([...types, ...users])}`;
  const joins = networkNamespace !== undefined;
  const each = joins ? `n.Type == "network" ? n.Path == ${celLiteral(networkNamespace)} : ${own}` : own;
  return {
    name: 'namespaces',
    description: joins
      ? 'The container has its own namespaces, and the network namespace that the forwarder of the peer pod sets up. hostIPC, hostUsers'
      : 'The container has its own namespaces, and none of the host; the network is that of the guest. hostIPC, hostUsers',
    expression:
      `request.OCI.Linux.Namespaces.all(n, ${each}) &&\n` +
      `${celLiteral(joins ? [...needed, 'network'] : needed)}.all(t, request.OCI.Linux.Namespaces.exists(n, n.Type == t))`,
    message: 'the workload has other namespaces',
  };
}

function masked(workloads: readonly Workload[]): Row {
  const seeing = workloads
    .flatMap(({ containers }) => containers)
    .filter(({ privileged, unmasked }) => privileged || unmasked)
    .map(({ name }) => name);
  const except =
    seeing.length === 0 ? '' : `container.claimed.name in ${celLiteral([...new Set(seeing)])} ||\n`;
  const linux = 'request.OCI.Linux';
  return {
    name: 'masked-paths',
    description: 'Masked and read-only paths in /proc and /sys. securityContext.procMount, privileged',
    expression:
      `${except}${celLiteral(maskedPaths)}\n  .all(p, p in ${linux}.MaskedPaths) &&\n` +
      `${celLiteral(readOnlyPaths)}\n  .all(p, p in ${linux}.ReadonlyPaths || p in ${linux}.MaskedPaths)`,
    message: 'the container would see parts of /proc or /sys that are masked for it',
  };
}

/**
 * Where a runtime creates the rootfs of a container, below Kata's directory. Elsewhere it could be in a volume of
 * another container. Sources, of Kata 4.1: `ShareRootFilesystem` in virtcontainers/fs_share_linux.go;
 * runtime-rs/crates/resource/src/rootfs and `do_get_guest_path` in runtime-rs/crates/resource/src/share_fs/utils.rs.
 */
function root(setup: RuntimeSetup): Row {
  const pulled = `${kataDirectory}/`;
  const shared = `${sharedDirectory}/`;
  const passthrough = `${shared}passthrough/`;
  const unpulled = setup.snapshotter === 'erofs' ? [passthrough] : [shared, passthrough, pulled];
  const directories = pullsImages(setup) ? [pulled] : unpulled;
  const places = directories.map((directory) => `"${directory}" + request.container_id + "/rootfs"`);
  return {
    name: 'root-paths',
    description: 'Each container uses its own root filesystem. Every pod.',
    expression:
      places.length === 1
        ? `request.OCI.Root.Path == ${places[0]}`
        : `request.OCI.Root.Path in [\n  ${places.join(',\n  ')}\n]`,
    message: 'this is not the root filesystem of this container',
  };
}

function devices(workloads: readonly Workload[], withGpus: boolean): Row {
  const paths = workloads.flatMap(({ containers }) =>
    containers.flatMap((container) => container.devices.map(({ devicePath }) => devicePath)),
  );
  const isGpu = withGpus ? 'd.container_path.startsWith("/dev/vfio/") || ' : '';
  const isDisk =
    `d.container_path in ${celLiteral([...new Set(paths)])} &&\n` +
    '  d.type in ["blk", "mmioblk", "scsi", "nvdimm"] && d.options.size() == 0';
  const other = paths.length === 0 ? 'false' : isDisk;
  return {
    name: 'attached-devices',
    description: 'Devices that are attached to the guest for the container. volumeDevices',
    expression:
      paths.length === 0 && !withGpus
        ? 'request.devices.size() == 0'
        : `request.devices.all(d, ${isGpu}${other})`,
    message: 'no such device is attached for this workload',
  };
}

function nothingElse(workloads: readonly Workload[]): Row {
  const containers = workloads.flatMap((workload) => workload.containers);
  const propagations = [...new Set(['', ...containers.map((container) => rootPropagation(container))])];
  const linux = 'request.OCI.Linux';
  const resources = `${linux}.Resources`;
  const hooks = 'request.OCI.Hooks';
  const hookLists = [
    'Prestart',
    'CreateRuntime',
    'CreateContainer',
    'StartContainer',
    'Poststart',
    'Poststop',
  ];
  return {
    name: 'unused-fields',
    description:
      'Settings that no Kata pod needs: hooks, ID mappings, seccomp and cgroup rules from the host.',
    expression: [
      `${hookLists.map((list) => `${hooks}.${list}.size()`).join(' +\n  ')} == 0`,
      'request.shared_mounts.size() == 0',
      '!has(request.OCI.Solaris) && !has(request.OCI.Windows)',
      mappings(workloads),
      `${linux}.MountLabel == "" && ${linux}.RootfsPropagation in ${celLiteral(propagations)}`,
      `!has(${linux}.Seccomp) && !has(${linux}.IntelRdt)`,
      `${resources}.Devices.size() == 0 && !has(${resources}.Pids)`,
      `!has(${resources}.BlockIO) && !has(${resources}.Network)`,
    ].join(' &&\n'),
    message: 'the request has a setting that no container of this workload needs',
  };
}

/**
 * With a user namespace all ids of a container are ones that the kubelet gives to pods: from 65,536 on, so that none is the guest's root
 * or another user of the guest's own.
 */
function mappings(workloads: readonly Workload[]): string {
  const lists = '[request.OCI.Linux.UIDMappings, request.OCI.Linux.GIDMappings]';
  const none = `${lists}.all(l, l.size() == 0)`;
  const users = workloads.filter(({ ownUsers }) => ownUsers).length;
  if (users === 0) return none;
  const one =
    `${lists}.all(l, l.size() == 1 && ` +
    'l.all(m, m.ContainerID == 0u && m.HostID >= 65536u && m.Size >= 65536u && m.Size <= 2147483648u))';
  return users === workloads.length ? one : `(${none} || ${one})`;
}

/** Reports whether a container of the workloads has GPUs that are passed through. */
export function hasGpus(workloads: readonly Workload[], setup: RuntimeSetup): boolean {
  return workloads.some(({ containers }) => containers.some((container) => gpuCount(container, setup) > 0));
}

/**
 * Rules for GPUs that are passed through: as many CDI devices as the container requests, each once, and the VFIO devices
 * that have their numbers. The host chooses which GPUs these are: only a report of the GPU itself identifies it.
 */
export function gpuRules(workloads: readonly Workload[], setup: RuntimeSetup): readonly ExtraRule[] {
  if (!hasGpus(workloads, setup)) return [];
  const tests = new Map<string, Set<string>>();
  for (const workload of workloads)
    for (const container of workload.containers) {
      const test = gpuTest(gpuCount(container, setup), gpuNames(workload, container, setup));
      tests.set(test, (tests.get(test) ?? new Set()).add(container.name));
    }
  const none = gpuTest(0, []);
  tests.set(none, new Set(['', ...(tests.get(none) ?? [])]));
  const each = [...tests].map(
    ([test, names]) => `(container.claimed.name in ${celLiteral([...names])} &&\n  ${test})`,
  );
  return [
    {
      method: 'CreateContainer',
      name: 'gpus',
      description:
        'GPUs that are passed through: the CDI devices of annotations, each once, and the VFIO devices with their numbers.\n' +
        'resources.limits',
      expression: each.join(' ||\n'),
      message: 'the workload requests other GPUs',
    },
    {
      method: 'CreateContainer',
      name: 'gpu-devices',
      description:
        'A VFIO device belongs to a CDI device, and is used by a driver of the guest. resources.limits',
      expression:
        `${passed}.all(d, d.type == "vfio-pci-gk" && d.vm_path == "" && d.options.size() > 0 &&\n` +
        `  d.options.all(o, o.matches(${option})) &&\n` +
        `  ${claimedAnnotations}.exists(a, a.startsWith(${celLiteral(gpuAnnotation)}) &&\n` +
        `    [a.split(${celLiteral(gpuAnnotation)})[1]].all(n, n.matches("^[0-9]+$") &&\n` +
        '      (d.container_path == "/dev/vfio/" + n && d.id == n ||\n' +
        '        d.container_path == "/dev/vfio/devices/vfio" + n && d.id == "vfio" + n))))',
      message: 'this is not the VFIO device of a GPU of the workload',
    },
  ];
}

function gpuTest(count: number, names: readonly string[]): string {
  if (count === 0) return `${cdiAnnotations}.size() == 0 && ${passed}.size() == 0`;
  return (
    `[${cdiAnnotations}].all(k, k.size() == ${count} &&\n` +
    `    k.all(a, ${claimedAnnotations}[a] in ${celLiteral(names)} &&\n` +
    `      k.exists_one(b, ${claimedAnnotations}[b] == ${claimedAnnotations}[a]))) &&\n` +
    `  [${passed}].all(p, p.size() in [0, ${count}] &&\n` +
    '    p.all(d, p.exists_one(e, e.container_path == d.container_path)))'
  );
}
