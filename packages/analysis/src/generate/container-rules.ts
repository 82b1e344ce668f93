import { rootPropagation } from '../calls/create-container.js';
import { hostnames, podNames } from '../calls/host-name.js';
import { maskedPaths, readOnlyPaths } from '../calls/masked-paths.js';
import type { RuntimeSetup } from '../calls/runtime-setup.js';
import type { Workload } from '../pod/workload.js';
import { celLiteral } from '../write/cel-literal.js';
import type { ExtraRule } from '../write/extra-rule.js';

type Row = Omit<ExtraRule, 'method'>;

/** What a container has to be like besides its lists. */
export function containerRules(workloads: readonly Workload[], setup: RuntimeSetup): readonly ExtraRule[] {
  const rows = [
    pod(workloads),
    annotations(workloads),
    namespaces(workloads),
    masked(workloads),
    root(setup),
    devices(workloads),
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
    says: 'Names of the container, of the pod and of its host. containers[].name, metadata.name, hostname',
    expression:
      `container.claimed.name in ${celLiteral(names)} &&\n` +
      `(request.OCI.Hostname == "" || request.OCI.Hostname.matches(${hosts})) &&\n` +
      `(!(${name} in ${claimed}) ||\n  ${claimed}[${name}].matches(${pods}))`,
    message: 'no pod or container of the workload has this name',
  };
}

/** Those of containerd, of its CRI plug-in, and of the runtimes. */
const engineAnnotations =
  '^io[.]kubernetes[.]cri[.](sandbox-(id|name|namespace|uid|log-directory|memory|image-name|cpu-(period|quota|shares))|' +
  'container-(type|name)|image-name)$|^io[.]kubernetes[.]container[.](name|hash|ports|restartCount|preStopHandler|' +
  'terminationMessage(Path|Policy))$|^io[.]katacontainers[.]pkg[.]oci[.](bundle_path|container_type)$';

/** `runc` and the agent read some annotations as instructions. */
function annotations(workloads: readonly Workload[]): Row {
  const own = [...new Set(workloads.flatMap((workload) => [...workload.annotations.keys()]))];
  const ownTest = own.length === 0 ? '' : ` || a in ${celLiteral(own)}`;
  return {
    name: 'annotations',
    says: 'Annotations are those of the engine, of the runtime and of the pod. metadata.annotations',
    expression:
      `container.claimed.annotations.all(a, a.matches(${celLiteral(engineAnnotations)}) ||\n` +
      `  a == "nerdctl/network-namespace"${ownTest})`,
    message: 'no pod of the workload has this annotation',
  };
}

/** The guest never follows paths of the host; a namespace that is missing would be its own, which all share. */
function namespaces(workloads: readonly Workload[]): Row {
  const needed = ['uts', 'mount', ...(workloads.some(({ hostIpc }) => hostIpc) ? [] : ['ipc'])];
  return {
    name: 'namespaces',
    says: "Namespaces of its own, and none of the host's; the network is the guest's. hostIPC",
    expression:
      'request.OCI.Linux.Namespaces.all(n, n.Path == "" && n.Type in ["ipc", "uts", "mount", "cgroup", "pid"]) &&\n' +
      `${celLiteral(needed)}.all(t, request.OCI.Linux.Namespaces.exists(n, n.Type == t))`,
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
    says: 'What stays hidden, and what may at most be read, in /proc and /sys. securityContext.procMount, privileged',
    expression:
      `${except}${celLiteral(maskedPaths)}\n  .all(p, p in ${linux}.MaskedPaths) &&\n` +
      `${celLiteral(readOnlyPaths)}\n  .all(p, p in ${linux}.ReadonlyPaths || p in ${linux}.MaskedPaths)`,
    message: 'parts of /proc or /sys would be seen that this container does not see',
  };
}

/**
 * Where a runtime makes the root of a container, below Kata's directory. Elsewhere it could lie in what another container
 * mounts. Sources, of Kata 4.1: `ShareRootFilesystem` in virtcontainers/fs_share_linux.go; runtime-rs/crates/resource/src/rootfs
 * and `do_get_guest_path` in runtime-rs/crates/resource/src/share_fs/utils.rs.
 */
function root({ guest }: RuntimeSetup): Row {
  const pulled = '/run/kata-containers/';
  const shared = `${pulled}shared/containers/`;
  const folders = guest === 'confidential' ? [pulled] : [shared, `${shared}passthrough/`, pulled];
  const places = folders.map((folder) => `"${folder}" + request.container_id + "/rootfs"`);
  return {
    name: 'root-paths',
    says: 'Each container has the root filesystem that was made for it. Every pod.',
    expression:
      places.length === 1
        ? `request.OCI.Root.Path == ${places[0]}`
        : `request.OCI.Root.Path in [\n  ${places.join(',\n  ')}\n]`,
    message: 'this is not the root filesystem of this container',
  };
}

function devices(workloads: readonly Workload[]): Row {
  const paths = workloads.flatMap(({ containers }) =>
    containers.flatMap((container) => container.devices.map(({ devicePath }) => devicePath)),
  );
  return {
    name: 'attached-devices',
    says: 'Devices that are attached to the guest for it. volumeDevices',
    expression:
      paths.length === 0
        ? 'request.devices.size() == 0'
        : `request.devices.all(d, d.container_path in ${celLiteral([...new Set(paths)])} &&\n` +
          '  d.type in ["blk", "mmioblk", "scsi", "nvdimm"] && d.options.size() == 0)',
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
    name: 'nothing-else',
    says: "What no pod of Kata's needs: hooks, other users' numbers, seccomp and cgroup rules of the host's making.",
    expression: [
      `${hookLists.map((list) => `${hooks}.${list}.size()`).join(' +\n  ')} == 0`,
      'request.shared_mounts.size() == 0',
      '!has(request.OCI.Solaris) && !has(request.OCI.Windows)',
      `${linux}.UIDMappings.size() == 0 && ${linux}.GIDMappings.size() == 0`,
      `${linux}.MountLabel == "" && ${linux}.RootfsPropagation in ${celLiteral(propagations)}`,
      `!has(${linux}.Seccomp) && !has(${linux}.IntelRdt)`,
      `${resources}.Devices.size() == 0 && !has(${resources}.Pids)`,
      `!has(${resources}.BlockIO) && !has(${resources}.Network)`,
    ].join(' &&\n'),
    message: 'the request holds what no container of this workload needs',
  };
}
