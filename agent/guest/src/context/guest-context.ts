import type { NamedMount } from '../container/named-mount.js';
import type { Reaper, Syscalls } from '@kata-agent/linux';
import type { CdiDevices } from '../cdi/cdi-devices.js';
import type { CgroupAncestors } from '../cgroup/cgroup-ancestors.js';
import type { CgroupNames } from '../cgroup/cgroup-names.js';
import type { CgroupStatsReader } from '../cgroup/cgroup-stats.js';
import type { OomWatch } from '../cgroup/oom-watch.js';
import type { HostAliases } from '../content/checked-files.js';
import type { DataHub } from '../confidential/data-hub.js';
import type { PermittedSecret } from '../confidential/secret-permits.js';
import type { DeviceWaits, DeviceWatch } from '../device/device-watch.js';
import type { VfioDevices } from '../device/vfio-devices.js';
import type { Disks } from '../device/disks.js';
import type { GuestAccess } from '../access/guest-access.js';
import type { GuestLimits, SandboxClaim } from './guest-options.js';
import type { GuestLog } from '../guest-log.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import type { NamesOf } from '../container/container-names.js';
import type { OutputPolicy } from '../stdio/prepare-streams.js';
import type { ImagePuller } from '../image/image-puller.js';
import type { ImageStore } from '../image/image-store.js';
import type { Runtime } from '../runtime/runtime.js';
import type { RuntimeCommands } from '../runtime/runtime-commands.js';
import type { Capabilities } from '../spec/security-labels.js';
import type { LocalAddresses } from '../network/links.js';
import type { Metrics } from '../metrics/metrics.js';
import type { MemoryWatch } from '../resource/online.js';
import type { GuestClock } from '../resource/set-clock.js';
import type { SwapDevices } from '../resource/swap.js';
import type { PathReservations } from '../container/path-reservations.js';
import type { PodSources } from '../source/pod-sources.js';
import type { SavedState } from '../state/saved-state.js';
import type { HostMedia } from '../media/host-media.js';
import type { Tools } from '../tool/tools.js';
import type { StorageTable } from '../storage/storage-table.js';
import type { HookSetting } from '../hooks/guest-hooks.js';

/** The options with defaults applied. */
export interface SettingsPart {
  readonly paths: GuestPaths;
  readonly limits: GuestLimits;
  readonly hooks: HookSetting;
  readonly access: GuestAccess;
  readonly output: OutputPolicy;
  readonly namesOf: NamesOf;
  /** Undefined: there is none. */
  readonly dataHub: DataHub | undefined;
  /** Undefined: all that the host puts into a container are unsealed. */
  readonly secrets: readonly PermittedSecret[] | undefined;
  /** Undefined: the content of hosts files, resolv.conf and hostname files is not checked. */
  readonly hostAliases: HostAliases | undefined;
  readonly mountsWithoutLinks: readonly NamedMount[];
  readonly imageVolumes: readonly NamedMount[];
  readonly idsOnce: boolean;
  /** Undefined: it pulls none. */
  readonly images: ImagePuller | undefined;
  /** Undefined: the images have no disk that they share. */
  readonly imageStore: ImageStore | undefined;
  readonly pauseBundle: string;
  readonly verifiedLayers: boolean;
  readonly pipeSize: number;
}

/** Access to the kernel, to external programs, and to the log. */
export interface SystemPart {
  readonly syscalls: Syscalls;
  /** What may wait for the host. */
  readonly media: HostMedia;
  readonly tools: Tools;
  readonly localAddresses: LocalAddresses;
  readonly clock: GuestClock;
  readonly log: GuestLog;
}

/** The OCI runtime, and the processes that it starts. */
export interface RuntimePart {
  readonly runtime: Runtime;
  readonly commands: RuntimeCommands;
  /** Queries the runtime's features on first use. */
  readonly capabilities: () => Promise<Capabilities>;
  readonly reaper: Reaper;
}

/** The containers' cgroups, their events and statistics. */
export interface CgroupPart {
  readonly ancestors: CgroupAncestors;
  readonly cgroups: CgroupNames;
  readonly oom: OomWatch;
  readonly statistics: CgroupStatsReader;
}

/** The guest's devices, and the changes that wait for devices. */
interface DevicePart {
  readonly devices: DeviceWatch;
  readonly disks: Disks;
  readonly vfio: VfioDevices;
  readonly waits: DeviceWaits;
  readonly cdi: CdiDevices;
  readonly memory: MemoryWatch;
  readonly swap: SwapDevices;
}

/** Storages and sources of containers. */
export interface StoragePart {
  readonly storages: StorageTable;
  readonly podSources: PodSources;
  readonly reservations: PathReservations;
}

/** Values that are observed. */
interface ObservationPart {
  readonly metrics: Metrics;
}

/** State that outlives the agent. */
interface StatePart {
  readonly records: SavedState;
  /** Lock on `paths.kata`: taken before the first change, and before an earlier agent's state is restored. */
  readonly claim: SandboxClaim;
}

/** All parts of the guest; created once, by `Guest.open`. Each function declares the parts that it uses. */
export interface GuestContext
  extends SettingsPart,
    SystemPart,
    RuntimePart,
    CgroupPart,
    DevicePart,
    StoragePart,
    ObservationPart,
    StatePart {}
