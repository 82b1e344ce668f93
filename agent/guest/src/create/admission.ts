import type { CreateContainer } from '../request/actions.js';
import { checkContainerId, checkHostname } from '../request/identifiers.js';
import type { GuestAccess } from '../guest-access.js';
import { GuestError } from '../guest-error.js';
import { pulledRootOf } from '../image/guest-pull.js';
import { checkVerifiedRoot } from '../image/verified-root.js';
import { type HookSetting, refuseHooks } from '../guest-hooks.js';
import type { OciLinux, OciMount, OciProcess, OciSpec } from '../request/oci-spec.js';
import { type OrderedChecks, runChecks } from '../request/ordered-checks.js';
import { checkCgroupPath } from '../spec/cgroup-path.js';
import {
  checkCapabilities,
  checkEnvironment,
  checkOomScore,
  checkProcPaths,
  checkProgram,
  checkRlimits,
  checkUser,
  checkWorkingDirectory,
} from '../spec/check-process.js';
import { type Capabilities, checkSelinuxLabel } from '../spec/security-labels.js';
import { checkDeviceRules, type DeviceContext } from '../spec/device-rules.js';
import { checkDevice, translateDevices } from '../spec/devices.js';
import {
  checkHiddenPaths,
  checkMount,
  cleanMount,
  type MountRules,
  mountRules,
  refuseSecond,
} from '../spec/mounts.js';
import { checkNamespaces, mappedRoot, requestedNetwork } from '../spec/namespaces.js';
import { checkSeccomp } from '../spec/seccomp.js';
import {
  checkSysctlNames,
  checkSysctlNamespaces,
  checkSysctlValues,
  refuseSysctls,
} from '../spec/sysctls.js';

// The checks of a request to create a container or an exec, in order. Not here: storages and the sources of mounts, which
// are checked when they are opened (storage/storage-mounts.ts, source/source-place.ts), and what only the created
// container shows (container/bounding-set.ts).

/** A request to create a container, and the state that it depends on. */
export interface RequestedContainer {
  readonly action: Pick<CreateContainer, 'id' | 'spec' | 'storages' | 'sharedMounts'>;
  readonly paths: { readonly kata: string };
  readonly hooks: HookSetting;
  readonly verifiedLayers: boolean;
  readonly access: Pick<GuestAccess, 'privileged' | 'sysctls' | 'networkNamespaces'>;
  /** Number of containers that exist or are being created, without those that wait for devices or mounts. */
  readonly containers: {
    readonly count: number;
    readonly limit: number;
    readonly has: (id: string) => boolean;
    /** Whether it is the id of a removed one, and not given again. */
    readonly had: (id: string) => boolean;
    readonly isWaiting: (id: string) => boolean;
  };
  /** Throws if no OCI runtime is installed. */
  readonly installedRuntime: () => unknown;
}

/** Run first, before anything is done for the request. */
const requestChecks: OrderedChecks<RequestedContainer> = {
  'container id': ({ action }) => checkContainerId(action.id),
  'no container of that id': ({ action, containers }) => checkFree(action.id, containers),
  'number of containers': ({ containers }) => checkLimit(containers),
  'OCI runtime': ({ installedRuntime }) => void installedRuntime(),
  'number of mounts': ({ action }) => checkCount('mounts', action.spec.mounts ?? []),
  'number of storages': ({ action }) => checkCount('storages', action.storages),
  'image that the guest pulls': ({ action, paths }) => void pulledRootOf(action, paths),
  'verified layers': ({ action, verifiedLayers }) => {
    if (verifiedLayers) checkVerifiedRoot(action);
  },
  hooks: ({ action, hooks }) => {
    if (hooks !== 'allow') refuseHooks(action.spec.hooks);
  },
  'names of sysctls': ({ action }) => checkSysctlNames(action.spec.linux?.sysctl),
  'values of sysctls': ({ action }) => checkSysctlValues(action.spec.linux?.sysctl),
  'sysctls that are allowed': ({ action, access }) => refuseSysctls(action.spec.linux?.sysctl, access),
  'network namespace': ({ action, access }) => void requestedNetwork(action.spec.linux?.namespaces, access),
  'user namespace': ({ action }) => void mappedRoot(action.spec.linux),
};

interface RequestedMounts {
  readonly mounts: readonly OciMount[];
  readonly rules: MountRules;
}

/** Run before the sources of mounts are opened, and again among `specChecks`. */
const mountChecks: OrderedChecks<RequestedMounts> = {
  'one mount of each kernel file system': ({ mounts, rules }) => {
    if (rules.privileged === 'refuse') refuseSecond(mounts);
  },
  mounts: ({ mounts, rules }) => mounts.forEach((mount) => checkMount(mount, rules)),
};

/** The process of a container or exec. */
interface RequestedProcess {
  readonly process: OciProcess;
  readonly capabilities: Pick<Capabilities, 'selinux'>;
}

/**
 * Run for an exec, and for the first process among `specChecks`: what runc would accept but must not be given (S10).
 */
const processChecks: OrderedChecks<RequestedProcess> = {
  program: ({ process }) => checkProgram(process),
  'working directory': ({ process }) => checkWorkingDirectory(process),
  environment: ({ process }) => checkEnvironment(process),
  'names of capabilities': ({ process }) => checkCapabilities(process),
  'user and groups': ({ process }) => checkUser(process),
  'resource limits': ({ process }) => checkRlimits(process),
  'OOM score': ({ process }) => checkOomScore(process),
  'paths in /proc': ({ process }) => checkProcPaths(process),
  'SELinux label': ({ process, capabilities }) => checkSelinuxLabel(process, capabilities),
};

type WholeSpec = OciSpec & { readonly process: OciProcess; readonly linux: OciLinux };

interface RequestedSpec extends DeviceContext {
  /** The copy of the guest's sysfs among the sources of mounts. */
  readonly sysfs?: string | undefined;
  readonly containerId: string;
  readonly spec: WholeSpec;
  readonly capabilities: Capabilities;
}

/** Run last, when storages and root are mounted: links of the root in the mounts' destinations are resolved by then. */
const specChecks: OrderedChecks<RequestedSpec> = {
  'path of the cgroup': ({ spec, containerId, capabilities: { systemd } }) =>
    checkCgroupPath(spec.linux.cgroupsPath, { containerId, systemd }),
  process: ({ spec, capabilities }) => admitProcess(spec.process, capabilities),
  hostname: ({ spec }) => checkHostname(spec.hostname ?? ''),
  mounts: ({ spec, access, capabilities, sysfs }) =>
    void admitMounts(spec.mounts ?? [], mountRules(spec.linux, access, capabilities.cgroupVersion, sysfs)),
  devices: ({ spec, ...context }) => spec.linux.devices?.forEach((device) => checkDevice(device, context)),
  'device rules': ({ spec: { linux }, ...context }) =>
    checkDeviceRules(linux.resources?.devices ?? [], translateDevices(linux.devices ?? [], context), context),
  'seccomp profile': ({ spec }) => checkSeccomp(spec.linux.seccomp),
  'masked paths': ({ spec }) => checkHiddenPaths('maskedPaths', spec.linux.maskedPaths),
  'read-only paths': ({ spec }) => checkHiddenPaths('readonlyPaths', spec.linux.readonlyPaths),
  namespaces: ({ spec }) => checkNamespaces(spec.linux.namespaces),
  'namespaces of sysctls': ({ spec, access }) => checkSysctlNamespaces(spec.linux.sysctl, access),
};

/** Throws for a request to create a container that is refused before anything is done. */
export function admitRequest(request: RequestedContainer): void {
  runChecks(requestChecks, request);
}

/** Returns the mounts for the runtime. */
export function admitMounts(mounts: readonly OciMount[], rules: MountRules): readonly OciMount[] {
  runChecks(mountChecks, { mounts, rules });
  return mounts.map(cleanMount);
}

export function admitProcess(process: OciProcess, capabilities: Pick<Capabilities, 'selinux'>): void {
  runChecks(processChecks, { process, capabilities });
}

/** Returns the spec with the members that every container gets. */
export function admitSpec(requested: OciSpec, context: Omit<RequestedSpec, 'spec'>): WholeSpec {
  const { process, linux } = requested;
  if (process === undefined) throw new GuestError('invalid', 'the spec has no process');
  if (linux === undefined) throw new GuestError('invalid', 'the spec has no linux section');
  const spec = { ...requested, process, linux };
  const { containerId, attached, bound, injected, access, guest, capabilities, sysfs } = context;
  runChecks(specChecks, { spec, containerId, attached, bound, injected, access, guest, capabilities, sysfs });
  return spec;
}

function checkFree(id: string, { has, had, isWaiting }: RequestedContainer['containers']): void {
  if (has(id)) throw new GuestError('exists', `container ${id} exists already`);
  if (had(id))
    throw new GuestError(
      'exists',
      `container ${id} was removed, and what it wrote to its volumes can still be there; help: use another id`,
    );
  if (isWaiting(id))
    throw new GuestError('exists', `container ${id} is being created, and waits for its devices or mounts`);
}

function checkLimit({ count, limit }: RequestedContainer['containers']): void {
  if (count >= limit)
    throw new GuestError('exhausted', `there are ${limit} containers already (limits.containers)`);
}

/**
 * Maximum number of mounts, or storages, of a container: each is a line of the mount table, which is read as a whole,
 * and a step of the OCI runtime (S17).
 */
const maxMounts = 256;

function checkCount(named: 'mounts' | 'storages', all: readonly unknown[]): void {
  if (all.length > maxMounts)
    throw new GuestError(
      'invalid',
      `the request has ${all.length} ${named}, and the limit is ${maxMounts}; help: mount a directory instead of single files in it`,
    );
}
