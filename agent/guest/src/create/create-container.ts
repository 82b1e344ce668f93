import { Phases } from '@kata-agent/base';
import type { CgroupAncestors } from '../cgroup/cgroup-ancestors.js';
import { Container } from '../container/container.js';
import type { ContainerProcess } from '../container/container-process.js';
import { mountsOf } from '../container/pending-containers.js';
import type { NetworkNamespace } from '../container/network-namespace.js';
import type { SysctlChanges } from '../container/sysctl-changes.js';
import type { AttachedDevices } from '../device/attach-devices.js';
import type { GuestLog } from '../guest-log.js';
import type { OwnRootContext } from '../image/own-root.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import type { CreateContainer } from '../request/actions.js';
import type { OciSpec } from '../request/oci-spec.js';
import { isBind } from '../spec/mounts.js';
import { persistContainer, type SavedState } from '../state/saved-state.js';
import type { StorageTable } from '../storage/storage-table.js';
import { UndoStack } from '../undo-stack.js';
import type { BuiltSpec } from './build-spec.js';
import {
  completeSpec,
  type SpecServices,
  type SysctlServices,
  writeConfig,
  writeSysctls,
  type WrittenSysctls,
} from './configure.js';
import { openSources, type SourceServices } from './container-sources.js';
import type { Creation, FromSandbox } from './creation.js';
import { decide, type Decided, type DecisionServices } from './decide.js';
import {
  attachSharedMounts,
  type CgroupServices,
  confine,
  launch,
  type LaunchServices,
  type LinkServices,
  pin,
  type PinnedContainer,
  refuseLinks,
  reserveCgroup,
  type SharingServices,
  watchMemory,
} from './launch.js';
import { type MountServices, nestMounts, type ResolvedMounts, stageMounts } from './mounts.js';
import {
  type BundleServices,
  type DeviceServices,
  openNetwork,
  prepareBundle,
  type Recorded,
  type RecordServices,
  type ReservedBundle,
  saveRecord,
  takeDevices,
} from './prepare.js';
import { mountOwnRoot, mountStorages, placeRoot, type RootServices } from './rootfs.js';

/** The parts of the guest that creation uses: what its phases use. */
export type CreationServices = DecisionServices &
  RecordServices &
  DeviceServices &
  BundleServices &
  OwnRootContext &
  SourceServices &
  RootServices &
  MountServices &
  SpecServices &
  SysctlServices &
  CgroupServices &
  LaunchServices &
  LinkServices &
  SharingServices &
  CompletionServices;

/**
 * The phases of a creation. What a phase pushes to the undo stack is undone after a failure, and at removal, in reverse order.
 * The comments say why a phase is where it is; docs/request-lifecycle.md, "Creating a container", has the list for readers.
 */
const creation = Phases.from<Creation<CreationServices>>()
  // Before all effects: a request that is refused here has changed nothing.
  .add('decided', decide)
  // All later phases use this descriptor: the path may lead to another namespace by then.
  .add('network', openNetwork)
  // From the first change that outlives the agent on, its successor finds what to undo.
  .add('recorded', saveRecord)
  // Before anything of the host is mounted: no disk of another owner, or of the guest, is opened by a later phase.
  .add('attached', takeDevices)
  // Before a source is opened: CopyFile could change it between its check and its use.
  .add('reserved', prepareBundle)
  // Before the storages: the image's rules decide before any of them is mounted.
  .add('ownRoot', mountOwnRoot)
  // Before the sources: these can be in storages.
  .add('used', mountStorages)
  // Before root and mounts, whose sources it opens and compares with those of other containers.
  .add('opened', openSources)
  // Before the mounts: destinations are looked up in the root, and image volumes are filled from it.
  .add('rootfs', placeRoot)
  // Before destinations are resolved: a mount whose source is refused gets no place.
  .add('staged', stageMounts)
  // Before the spec: its checks see the destinations without links of the root.
  .add('resolved', nestMounts)
  // After devices and sources: device rules are checked against what the guest has, not what the request says.
  .add('built', completeSpec)
  // After all checks of the request: other containers see these changes.
  .add('sysctls', writeSysctls)
  // Last before the runtime: only this file has the plain text of secrets.
  .add('configured', writeConfig)
  // Before the runtime creates the cgroup: none of another container's is joined.
  .add('ancestors', reserveCgroup)
  // The first process now exists, and runs nothing before `start`.
  .add('first', launch)
  // Before all that looks at the process by its pid.
  .add('pinned', pin)
  // Before anything else is given to the container: the runtime may have left devices or capabilities wider.
  .add('ownSysctls', confine)
  // Before mounts of other containers are attached, in which links are theirs.
  .add('linksRefused', refuseLinks)
  // After all checks: it gives the container what is not its own.
  .add('shared', attachSharedMounts)
  // Last effect: a container whose creation failed reports no out-of-memory event.
  .add('watched', watchMemory)
  // Nothing after it can fail: what it keeps is undone at removal only.
  .add('container', complete);

/**
 * Creates a container up to the point where its first process waits for `start`. Each step with a side effect pushes
 * its undo, so that a failure at any step leaves nothing behind (S13), and removal runs the same steps.
 */
export async function createContainer(
  request: CreateContainer,
  sandbox: FromSandbox,
  services: CreationServices,
): Promise<Container> {
  const made = new UndoStack();
  try {
    return (await creation.run({ request, sandbox, services, made })).container;
  } catch (error) {
    for (const failure of await made.unwind()) {
      services.log('error', `after a failed create: ${failure.message}`, { container: request.id });
    }
    throw error;
  }
}

interface CompletionServices {
  readonly paths: GuestPaths;
  readonly ancestors: CgroupAncestors;
  readonly records: SavedState;
  readonly storages: StorageTable;
  readonly log: GuestLog;
}

/** Replaces the record by that of a created container, and keeps what has been changed until its removal. */
function complete({
  sandbox,
  decided: { id, bundle, spec: requested, storages, mountPoints },
  network,
  recorded: { order, pciDevices },
  attached,
  reserved: { held, freeSources },
  used,
  resolved: { nested },
  built: { spec },
  sysctls,
  ancestors,
  first,
  pinned: { pinned, cgroups },
  ownSysctls,
  services,
  made,
}: Creation<CompletionServices> & {
  readonly decided: Decided;
  readonly network: NetworkNamespace | undefined;
  readonly recorded: Recorded;
  readonly attached: AttachedDevices;
  readonly reserved: ReservedBundle;
  readonly used: readonly string[];
  readonly resolved: ResolvedMounts;
  readonly built: BuiltSpec;
  readonly sysctls: WrittenSysctls;
  readonly ancestors: readonly string[];
  readonly first: ContainerProcess;
  readonly pinned: PinnedContainer;
  readonly ownSysctls: SysctlChanges;
  readonly watched: void;
}): Container {
  const own = (spec.linux?.namespaces ?? []).filter(({ path }) => path === undefined);
  const container = new Container({
    id,
    order,
    storages: [...mountPoints, ...used],
    sources: sandbox.opened,
    roots: held.roots,
    first,
    cgroup: cgroups,
    namespaces: new Set(own.map(({ type }) => type)),
    made,
    annotations: requested.annotations ?? {},
    mounts: mountsOf(requested.mounts ?? [], services.paths.kata),
    cpus: requested.linux?.resources?.cpu?.cpus ?? '',
    terminationLog: terminationLogOf(requested),
    noNewPrivileges: spec.process.noNewPrivileges ?? false,
    capabilities: spec.process.capabilities ?? {},
    rlimits: spec.process.rlimits ?? [],
    pinned,
    disks: attached.devices.filter(({ type }) => type === 'b').map(({ major, minor }) => ({ major, minor })),
    pciDevices,
    pciAddresses: attached.pciAddresses,
  });
  services.ancestors.arrived(ancestors);
  persistContainer(container, services);
  services.storages.keep(storages, bundle);
  sysctls.ofNetwork.keep();
  sysctls.ofGuest.keep();
  ownSysctls.keep();
  nested.keep();
  network?.descriptor.close();
  freeSources();
  return container;
}

/** Returns the guest's path of the termination message: Kubernetes names a path in the container, where a bind mount is. */
function terminationLogOf({ annotations, mounts }: OciSpec): string | undefined {
  const path = annotations?.['io.kubernetes.container.terminationMessagePath'];
  return path === undefined
    ? undefined
    : mounts?.find((mount) => isBind(mount) && mount.destination === path)?.source;
}
