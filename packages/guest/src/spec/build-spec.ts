import { posix } from 'node:path';
import type { GuestAccess } from '../guest-access.js';
import { checkHostname } from '../container/identifiers.js';
import { GuestError } from '../guest-error.js';
import type { OciLinux, OciMount, OciProcess, OciSpec } from '../oci-spec.js';
import { contains } from '../source/clean-path.js';
import { cgroupPath } from './cgroup-path.js';
import { checkProcess } from './check-process.js';
import { containerDevices, type DeviceContext } from './devices.js';
import { containerMounts, type MountRules } from './mounts.js';
import { containerNamespaces, type SharedNamespaces } from './namespaces.js';
import { settableResources } from './resources.js';
import { checkSeccomp } from './seccomp.js';
import { checkNamespaces, splitSysctls } from './sysctls.js';

/** What the guest's kernel and the runtime can do, as far as a spec depends on it. */
export interface Capabilities {
  readonly seccomp: boolean;
  readonly apparmor: boolean;
  readonly selinux: boolean;
  /** The sizes of huge pages that it can limit: `2MB`. */
  readonly hugePages: readonly string[];
  /** Known flaws of the OCI runtime's version, by their CVE numbers (S12). */
  readonly flaws: readonly string[];
  /** Processes of a container for which the request sets no limit; undefined: the guest cannot limit them. */
  readonly processes?: number | undefined;
}

export interface SpecContext extends DeviceContext {
  readonly containerId: string;
  /** The directory that becomes `/`. */
  readonly rootfs: string;
  readonly shared: SharedNamespaces;
  readonly capabilities: Capabilities;
  readonly hooks: 'refuse' | 'allow';
  /** The sandbox's; for a container that brings none. */
  readonly hostname: string;
  /** The sandbox's resolv.conf, when it has one and the rootfs has the file that it is bound over. */
  readonly resolvConf: string | undefined;
}

export interface BuiltSpec {
  /** For config.json. */
  readonly spec: OciSpec & { readonly process: OciProcess };
  /** `net.*` sysctls, for the agent to write. */
  readonly networkSysctls: Readonly<Record<string, string>>;
  /** Those of IPC and UTS namespaces, for the agent to write once the container has them. */
  readonly namespaceSysctls: Readonly<Record<string, string>>;
  /** Below each hierarchy's mount point. */
  readonly cgroup: string;
}

/** The spec that runc gets, from the one that a request brings. Pure; throws GuestError for what it must not hold. */
export function buildSpec(requested: OciSpec, context: SpecContext): BuiltSpec {
  const { process, linux } = requested;
  if (process === undefined) throw new GuestError('invalid', 'the spec has no process');
  if (linux === undefined) throw new GuestError('invalid', 'the spec has no linux section');
  const sysctls = splitSysctls(linux.sysctl);
  const cgroup = cgroupPath(linux.cgroupsPath, context.containerId);
  return {
    spec: {
      ociVersion: requested.ociVersion === '' ? '1.0.2' : requested.ociVersion,
      process: runnableProcess(process, context.capabilities),
      root: { path: context.rootfs, readonly: requested.root?.readonly ?? false },
      hostname: containerHostname(requested, context),
      mounts: [
        ...containerMounts(requested.mounts, mountRules(linux, context.access)),
        ...resolver(requested, context),
      ],
      hooks: context.hooks === 'allow' ? requested.hooks : undefined,
      annotations: ownAnnotations(requested.annotations),
      linux: runnableLinux(linux, cgroup, context),
    },
    networkSysctls: sysctls.network,
    namespaceSysctls: checkNamespaces(sysctls.own),
    cgroup,
  };
}

/** What decides which mounts this container may have. */
export function mountRules(linux: OciLinux | undefined, access: Pick<GuestAccess, 'privileged'>): MountRules {
  const namespaces = linux?.namespaces ?? [];
  return { privileged: access.privileged, cgroupNamespace: namespaces.some(({ type }) => type === 'cgroup') };
}

/**
 * A process as runc takes it, first of a container or exec. What a request leaves out is written out (S33): an exec without
 * a member of its own would have that of the container's first process, and a rule has seen none.
 */
export function runnableProcess(process: OciProcess, capabilities: Capabilities): OciProcess {
  checkProcess(process);
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
    // A name of a user means something on Windows alone.
    user: { uid, gid, additionalGids },
    args: process.args,
    env: process.env ?? [],
    cwd: process.cwd,
    capabilities: { bounding, effective, inheritable, permitted, ambient },
    rlimits: process.rlimits,
    noNewPrivileges: process.noNewPrivileges ?? false,
    // The agent's own must not be inherited.
    oomScoreAdj: process.oomScoreAdj ?? 0,
    apparmorProfile: capabilities.apparmor ? process.apparmorProfile : undefined,
    selinuxLabel: capabilities.selinux ? process.selinuxLabel : undefined,
  };
}

function runnableLinux(linux: OciLinux, cgroupsPath: string, context: SpecContext): OciLinux {
  const { shared, capabilities } = context;
  const requested = { devices: linux.devices, rules: linux.resources?.devices };
  const { devices, rules } = containerDevices(requested, context);
  const resources = settableResources(linux.resources ?? {}, capabilities.hugePages);
  const { processes } = capabilities;
  if (linux.seccomp !== undefined) checkSeccomp(linux.seccomp);
  return {
    uidMappings: linux.uidMappings,
    gidMappings: linux.gidMappings,
    rootfsPropagation: linux.rootfsPropagation,
    maskedPaths: hiddenPaths(linux.maskedPaths, 'maskedPaths'),
    readonlyPaths: hiddenPaths(linux.readonlyPaths, 'readonlyPaths'),
    devices,
    cgroupsPath,
    namespaces: containerNamespaces(linux.namespaces, shared),
    resources: {
      ...resources,
      // The kubelet's limit stays on the host, and the agent needs processes of its own.
      pids: resources.pids ?? (processes === undefined ? undefined : { limit: processes }),
      devices: rules,
    },
    seccomp: capabilities.seccomp ? linux.seccomp : undefined,
    mountLabel: capabilities.selinux ? linux.mountLabel : undefined,
  };
}

/** runc follows `..` of such a path out of what the words before it name. */
function hiddenPaths(paths: readonly string[] | undefined, name: string): readonly string[] {
  const strange = paths?.find((path) => !path.startsWith('/') || posix.normalize(path) !== path);
  if (strange !== undefined)
    throw new GuestError('invalid', `linux.${name}: ${JSON.stringify(strange)} is not a clean absolute path`);
  return paths ?? [];
}

/**
 * Annotations are a runtime's second door: with them crun loads a library of the caller's or keeps groups that no rule has
 * seen, and both set properties of systemd units.
 */
function ownAnnotations(annotations: OciSpec['annotations']): OciSpec['annotations'] {
  const kept = Object.entries(annotations ?? {}).filter(
    ([name]) => !name.startsWith('run.oci.') && !name.startsWith('org.systemd.property.'),
  );
  return Object.fromEntries(kept);
}

/**
 * The name that the runtime gives the container's UTS namespace. One that it joins is the pod's and has its name: what the
 * request says is left out, as Kata's agent does (rustjail/src/container.rs). runc refuses a hostname for a container that has
 * no uts namespace in its list.
 */
function containerHostname(requested: OciSpec, context: SpecContext): string | undefined {
  const hasOwn = (requested.linux?.namespaces ?? []).some(({ type }) => type === 'uts');
  const own = requested.hostname ?? '';
  checkHostname(own);
  const name = own === '' ? context.hostname : own;
  const makesOne = hasOwn && context.shared.uts === undefined;
  return makesOne && name !== '' ? name : undefined;
}

function resolver(requested: OciSpec, { resolvConf }: SpecContext): readonly OciMount[] {
  const destination = '/etc/resolv.conf';
  if (resolvConf === undefined) return [];
  // What is in a mount at /etc is not the image's, and may be changed while the runtime looks for the file.
  if ((requested.mounts ?? []).some((mount) => contains(mount.destination, destination))) return [];
  return [
    { destination, type: 'bind', source: resolvConf, options: ['bind', 'ro', 'nosuid', 'nodev', 'noexec'] },
  ];
}
