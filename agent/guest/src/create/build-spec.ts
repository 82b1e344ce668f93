import type { OciLinux, OciMount, OciProcess, OciSpec } from '../request/oci-spec.js';
import { contains } from '../paths/clean-path.js';
import { admitProcess, admitSpec } from './admission.js';
import { type Capabilities, enforceableProfile, ignoredLabels } from '../spec/security-labels.js';
import { type ContainerCgroup, containerCgroup } from '../spec/cgroup-path.js';
import type { DeviceContext } from '../spec/device-rules.js';
import { containerDevices } from '../spec/devices.js';
import { cleanMount } from '../spec/mounts.js';
import { containerNamespaces, type SharedNamespaces } from '../spec/namespaces.js';
import { missingCpus, settableResources } from '../spec/resources.js';
import { splitSysctls } from '../spec/sysctls.js';
import type { HookSetting } from '../guest-hooks.js';

export interface SpecContext extends DeviceContext {
  readonly containerId: string;
  /** The directory that becomes `/`. */
  readonly rootfs: string;
  readonly shared: SharedNamespaces;
  readonly capabilities: Capabilities;
  /** The copy of the guest's sysfs among the sources of mounts. */
  readonly sysfs?: string | undefined;
  /** Numbers of the CPUs that are online. */
  readonly onlineCpus: readonly number[];
  readonly hooks: HookSetting;
  /** The sandbox's hostname, for a container whose spec has none. */
  readonly hostname: string;
  /** The sandbox's resolv.conf, if it has one and the rootfs has the file as a mount point. */
  readonly resolvConf: string | undefined;
}

export interface BuiltSpec {
  /** The content of config.json. */
  readonly spec: OciSpec & { readonly process: OciProcess };
  /** `net.*` sysctls, which the agent writes. */
  readonly networkSysctls: Readonly<Record<string, string>>;
  /** Sysctls of IPC and UTS namespaces, which the agent writes once the container has those. */
  readonly namespaceSysctls: Readonly<Record<string, string>>;
  /** Sysctls of the whole guest, which the configuration names and the agent writes. */
  readonly guestSysctls: Readonly<Record<string, string>>;
  readonly cgroup: ContainerCgroup;
  /** For the agent log: what the request has and the guest ignores. */
  readonly warnings: readonly string[];
}

/** Builds the spec for runc from the request's. Pure; throws GuestError for anything that is not allowed. */
export function buildSpec(requested: OciSpec, context: SpecContext): BuiltSpec {
  const { process, linux } = admitSpec(requested, context);
  const sysctls = splitSysctls(linux.sysctl);
  const { containerId, capabilities } = context;
  const cgroup = containerCgroup(linux.cgroupsPath, { containerId, systemd: capabilities.systemd });
  return {
    spec: {
      ociVersion: requested.ociVersion === '' ? '1.0.2' : requested.ociVersion,
      process: completeProcess(process, capabilities),
      root: { path: context.rootfs, readonly: requested.root?.readonly ?? false },
      hostname: containerHostname(requested, context),
      mounts: [...(requested.mounts ?? []).map(cleanMount), ...resolver(requested, context)],
      hooks: context.hooks === 'refuse' ? undefined : requested.hooks,
      annotations: { ...ownAnnotations(requested.annotations), ...(cgroup.isScope ? scopeAnnotations : {}) },
      linux: runnableLinux(linux, cgroup.cgroupsPath, context),
    },
    networkSysctls: sysctls.network,
    namespaceSysctls: sysctls.own,
    guestSysctls: sysctls.guest,
    cgroup,
    warnings: [
      ...ignoredLabels(process, linux, capabilities),
      ...missingCpus(linux.resources?.cpu?.cpus, context.onlineCpus),
    ],
  };
}

/** Builds the process of an exec for runc from the request's. Throws GuestError for anything that is not allowed. */
export function runnableProcess(process: OciProcess, capabilities: Capabilities): OciProcess {
  admitProcess(process, capabilities);
  return completeProcess(process, capabilities);
}

/**
 * Returns a process for runc, of a container or exec, with every member set (S33): an exec without one would inherit
 * that of the container's first process, which no rule has seen.
 */
function completeProcess(process: OciProcess, capabilities: Capabilities): OciProcess {
  const { uid, gid, additionalGids = [] } = process.user;
  const {
    bounding = [],
    effective = [],
    inheritable = [],
    permitted = [],
    ambient = [],
  } = process.capabilities ?? {};
  return {
    terminal: process.terminal ?? false,
    consoleSize: process.consoleSize,
    // `username` has a meaning on Windows only.
    user: { uid, gid, additionalGids },
    args: process.args,
    env: process.env ?? [],
    cwd: process.cwd,
    capabilities: { bounding, effective, inheritable, permitted, ambient },
    rlimits: process.rlimits,
    noNewPrivileges: process.noNewPrivileges ?? false,
    // The agent's own value must not be inherited.
    oomScoreAdj: process.oomScoreAdj ?? 0,
    apparmorProfile: enforceableProfile(process, capabilities),
    selinuxLabel: capabilities.selinux ? process.selinuxLabel : undefined,
  };
}

function runnableLinux(linux: OciLinux, cgroupsPath: string, context: SpecContext): OciLinux {
  const { shared, capabilities } = context;
  const requested = { devices: linux.devices, rules: linux.resources?.devices };
  const { devices, rules } = containerDevices(requested, context);
  const { hugePages } = capabilities;
  const resources = settableResources(linux.resources ?? {}, { hugePages, onlineCpus: context.onlineCpus });
  const { processes } = capabilities;
  return {
    uidMappings: linux.uidMappings,
    gidMappings: linux.gidMappings,
    rootfsPropagation: linux.rootfsPropagation,
    maskedPaths: linux.maskedPaths ?? [],
    readonlyPaths: linux.readonlyPaths ?? [],
    devices,
    cgroupsPath,
    namespaces: containerNamespaces(linux, shared, capabilities.cgroupVersion),
    resources: {
      ...resources,
      // The kubelet's pids limit stays on the host, and the agent needs pids that no container can take.
      pids: resources.pids ?? (processes === undefined ? undefined : { limit: processes }),
      devices: rules,
    },
    seccomp: capabilities.seccomp ? linux.seccomp : undefined,
    mountLabel: capabilities.selinux ? linux.mountLabel : undefined,
  };
}

/**
 * Annotations change a runtime's behaviour: with them crun loads a library of the caller's choice, runs the root's files
 * in another engine or keeps groups that no rule has seen, and both runtimes set properties of systemd units.
 */
const runtimeAnnotations = ['run.oci.', 'org.systemd.property.', 'module.wasm.image/', 'krun.', 'org.criu.'];

/** Without it crun creates a cgroup in the scope, `container`, with the processes and another copy of the limits. */
const scopeAnnotations = { 'run.oci.systemd.subgroup': '' };

function ownAnnotations(annotations: OciSpec['annotations']): OciSpec['annotations'] {
  const kept = Object.entries(annotations ?? {}).filter(
    ([name]) => !runtimeAnnotations.some((prefix) => name.startsWith(prefix)),
  );
  return Object.fromEntries(kept);
}

/**
 * Returns the hostname for the container's UTS namespace. A joined one is the pod's and has its name already: the
 * request's is dropped, as by Kata's agent (rustjail/src/container.rs). runc refuses a hostname for a container that
 * has no uts namespace in its list.
 */
function containerHostname(requested: OciSpec, context: SpecContext): string | undefined {
  const hasOwn = (requested.linux?.namespaces ?? []).some(({ type }) => type === 'uts');
  const own = requested.hostname ?? '';
  const name = own === '' ? context.hostname : own;
  const makesOne = hasOwn && context.shared.uts === undefined;
  return makesOne && name !== '' ? name : undefined;
}

function resolver(requested: OciSpec, { resolvConf }: SpecContext): readonly OciMount[] {
  const destination = '/etc/resolv.conf';
  if (resolvConf === undefined) return [];
  // A mount that contains the file is not part of the image, and may change while the runtime resolves the path.
  if ((requested.mounts ?? []).some((mount) => contains(mount.destination, destination))) return [];
  return [
    { destination, type: 'bind', source: resolvConf, options: ['bind', 'ro', 'nosuid', 'nodev', 'noexec'] },
  ];
}
