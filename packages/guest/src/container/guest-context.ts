import type { Reaper, Syscalls } from '@kata-agent/linux';
import type { CgroupAncestors } from '../cgroup/cgroup-ancestors.js';
import type { CgroupNames } from '../cgroup/cgroup-names.js';
import type { OomWatch } from '../cgroup/oom-watch.js';
import type { DeviceWaits } from '../device/device-waits.js';
import type { DeviceWatch } from '../device/device-watch.js';
import type { Disks } from '../device/disks.js';
import type { GuestAccess } from '../guest-access.js';
import type { GuestLimits, GuestLog, GuestPaths, OutputPolicy, SandboxClaim } from '../guest-options.js';
import type { Runtime } from '../runtime/runtime.js';
import type { RuntimeCommands } from '../runtime/runtime-commands.js';
import type { Capabilities } from '../spec/build-spec.js';
import type { MemoryWatch } from '../resource/memory-watch.js';
import type { SwapDevices } from '../resource/swap.js';
import type { HeldPlaces } from './held-places.js';
import type { PodSources } from '../source/pod-sources.js';
import type { GuestRecords } from '../state/guest-records.js';
import type { Tools } from '../tool/tools.js';
import type { StorageTable } from '../storage/storage-table.js';

/** What everything in the guest works with; made once, by `Guest.open`. */
export interface GuestContext {
  readonly syscalls: Syscalls;
  readonly paths: GuestPaths;
  /** Of `paths.kata`: taken before the first change, and before anything of an earlier agent is taken up. */
  readonly claim: SandboxClaim;
  readonly limits: GuestLimits;
  readonly hooks: 'refuse' | 'allow';
  readonly access: GuestAccess;
  readonly output: OutputPolicy;
  readonly pipeSize: number;
  readonly log: GuestLog;
  readonly reaper: Reaper;
  readonly runtime: Runtime;
  readonly commands: RuntimeCommands;
  /** Asks the runtime the first time. */
  readonly capabilities: () => Promise<Capabilities>;
  readonly ancestors: CgroupAncestors;
  readonly cgroups: CgroupNames;
  readonly oom: OomWatch;
  readonly devices: DeviceWatch;
  readonly disks: Disks;
  readonly waits: DeviceWaits;
  readonly tools: Tools;
  readonly memory: MemoryWatch;
  readonly swap: SwapDevices;
  readonly storages: StorageTable;
  readonly podSources: PodSources;
  readonly places: HeldPlaces;
  readonly records: GuestRecords;
}
