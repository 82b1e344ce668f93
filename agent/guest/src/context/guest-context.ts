import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { listenUevents, Reaper } from '@kata-agent/linux';
import { CdiDevices, type CdiOptions } from '../cdi/cdi-devices.js';
import { CgroupAncestors } from '../cgroup/cgroup-ancestors.js';
import { agentCgroups, CgroupNames } from '../cgroup/cgroup-names.js';
import { cgroupVersion } from '../cgroup/cgroup-paths.js';
import { defaultPidsLimit, limitableHugePages } from '../cgroup/cgroup-limits.js';
import { CgroupStatsReader } from '../cgroup/cgroup-stats.js';
import { OomWatch } from '../cgroup/oom-watch.js';
import { PathReservations } from '../container/path-reservations.js';
import { openAccess } from '../guest-access.js';
import type { GuestLog } from '../guest-log.js';
import type { GuestLimits, GuestOptions } from './guest-options.js';
import type { SandboxClaim } from '../sandbox/claim-sandbox.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import { DeviceWaits, DeviceWatch } from '../device/device-watch.js';
import { MediaThreads } from '../media/media-threads.js';
import { VfioDevices } from '../device/vfio-devices.js';
import { Disks } from '../device/disks.js';
import { MemoryWatch } from '../resource/online.js';
import { type GuestSecrets, SwapDevices } from '../resource/swap.js';
import { PodSources } from '../source/pod-sources.js';
import { askFeatures } from '../runtime/command-lines.js';
import { SharedStore } from '../image/store/shared-store.js';
import { mountingIn } from '../confidential/mount-directory.js';
import { bundles } from '../container/bundle.js';
import { OciRuntime } from '../runtime/oci-runtime.js';
import { RunningCommands } from '../runtime/running-commands.js';
import { knownFlaws, type RuntimeFeatures } from '../runtime/runtime-features.js';
import { sealDescriptors } from '../runtime/seal-descriptors.js';
import type { Capabilities } from '../spec/security-labels.js';
import { SavedState } from '../state/saved-state.js';
import { Metrics } from '../metrics/metrics.js';
import { LocalAddresses } from '../network/links.js';
import { StorageTable } from '../storage/storage-table.js';
import { DiskPrograms } from '../tool/disk-programs.js';
import { SystemTools, type Tools } from '../tool/tools.js';
import type { CreationServices } from '../create/create-container.js';
import type { RecoveryServices } from '../recover/recover.js';
import type { GuestClock } from '../resource/set-clock.js';
import type { SandboxServices } from '../sandbox/sandbox.js';
import { readIfThere } from '@kata-agent/base';

const defaultPaths: GuestPaths = {
  kata: '/run/kata-containers',
  state: '/run/kata-agent',
  cgroup: '/sys/fs/cgroup',
  proc: '/proc',
  sys: '/sys',
  dev: '/dev',
};

/** The limits of S17. */
const defaultLimits = { containers: 64, execsPerContainer: 32, streamBuffer: 1024 * 1024 };

const unshared: SandboxClaim = { held: true, take: () => undefined };

const defaultHotplugTimeout = 3;

const defaultCdi: CdiOptions = {
  directories: ['/etc/cdi', '/var/run/cdi'],
  timeoutSeconds: 100,
  visibleDevices: false,
};

/**
 * The parts of the guest: what its services use. Each service declares its own, and its phases and functions theirs.
 * `openContext` creates them once.
 */
export type GuestContext = CreationServices & SandboxServices & RecoveryServices & CallServices;

/** What only calls use, beside the services that they call (`perform/`, `guest.ts`). */
interface CallServices {
  readonly limits: GuestLimits;
  /** Whether the id of a removed container is given to no other one. */
  readonly idsOnce: boolean;
  /** The changes that wait for devices or mounts. */
  readonly waits: DeviceWaits;
  readonly reaper: Reaper;
  readonly statistics: CgroupStatsReader;
  readonly metrics: Metrics;
  readonly tools: Tools;
  readonly clock: GuestClock;
}

/** Applies defaults to the options, creates the directories, and starts the reaper. */
export function openContext(options: GuestOptions): GuestContext {
  const paths: GuestPaths = { ...defaultPaths, ...options.paths };
  const log: GuestLog = options.log ?? (() => undefined);
  const { syscalls } = options;
  const access = options.access ?? openAccess;
  sealDescriptors(syscalls);
  mkdirSync(paths.kata, { recursive: true, mode: 0o755 });
  mkdirSync(mountingIn(paths), { recursive: true, mode: 0o700 });
  // Others can search the two above a bundle, as `makeBundle` needs it, and not list them.
  for (const directory of [paths.state, join(paths.state, bundles)]) {
    mkdirSync(directory, { recursive: true, mode: 0o711 });
    chmodSync(directory, 0o711);
  }
  const reaper = new Reaper(syscalls, {
    proc: paths.proc,
    onFault: (error) => log('error', `waiting for processes: ${String(error)}`),
  });
  try {
    const runtime = new OciRuntime(options.runtime, paths.state, reaper);
    const ancestors = new CgroupAncestors(paths.cgroup, join(paths.state, 'cgroups'));
    const records = new SavedState(paths.state);
    const media = options.media ?? new MediaThreads({ syscalls, log });
    const devices = new DeviceWatch({
      roots: paths,
      media,
      syscalls,
      log,
      timeoutSeconds: options.hotplugTimeout ?? defaultHotplugTimeout,
    });
    const verifiedLayers = options.verifiedLayers ?? false;
    const tools = new SystemTools();
    const sharedStore = options.images?.sharedStore;
    const disks = new Disks(paths.sys, media);
    const parts = { syscalls, media, paths, devices, disks, dataHub: options.dataHub, log };
    let read: Promise<Capabilities> | undefined;
    const capabilities = (): Promise<Capabilities> =>
      (read ??= readCapabilities(runtime, paths, options.systemd ?? false, log));
    return {
      syscalls,
      media,
      paths,
      claim: options.claim ?? unshared,
      limits: { ...defaultLimits, ...options.limits },
      hooks: options.hooks ?? 'refuse',
      access,
      output: options.output ?? { readable: () => true, unreadable: 'discard' },
      namesOf: options.namesOf ?? (() => ({ inPod: '', ofEngine: '' })),
      pipeSize: options.pipeSize ?? 0,
      dataHub: options.dataHub,
      secrets: options.secrets,
      hostAliases: options.hostAliases,
      mountsWithoutLinks: options.mountsWithoutLinks ?? [],
      imageVolumes: options.imageVolumes ?? [],
      idsOnce: options.idsOnce ?? false,
      images: options.images,
      imageStore: sharedStore === undefined ? undefined : new SharedStore(parts, sharedStore),
      pauseBundle: options.pauseBundle ?? '/pause_bundle',
      verifiedLayers,
      clock: { floor: options.clockFloor, now: Date.now },
      log,
      reaper,
      runtime,
      commands: new RunningCommands(runtime.known.name),
      capabilities,
      ancestors,
      cgroups: new CgroupNames(paths.cgroup, agentCgroups(paths.proc)),
      oom: new OomWatch(syscalls),
      statistics: new CgroupStatsReader(),
      devices,
      disks,
      vfio: new VfioDevices(paths, disks),
      waits: new DeviceWaits(devices, log),
      cdi: new CdiDevices({ ...defaultCdi, ...options.cdi }, access),
      tools,
      localAddresses: new LocalAddresses(media),
      memory: new MemoryWatch({ sys: paths.sys, media, listen: (to) => listenUevents(syscalls, to), log }),
      swap: new SwapDevices(media, disks, secretsOf(options)),
      podSources: new PodSources(join(paths.state, 'pod'), { syscalls, media }),
      reservations: new PathReservations(),
      storages: new StorageTable(
        {
          syscalls,
          media,
          paths,
          access,
          capabilities,
          devices,
          disks,
          diskPrograms: new DiskPrograms(),
          log,
          dataHub: options.dataHub,
          verifiedLayers,
        },
        records,
      ),
      metrics: new Metrics(),
      records,
    };
  } catch (error) {
    reaper.stop();
    throw error;
  }
}

function secretsOf({ dataHub, images }: GuestOptions): GuestSecrets | undefined {
  if (dataHub !== undefined) return 'sealed';
  return images?.pack === undefined ? undefined : 'keys of disks';
}

async function readFeatures(runtime: OciRuntime, log: GuestLog): Promise<RuntimeFeatures | undefined> {
  if (runtime.program === undefined) {
    log(
      'warn',
      'no OCI runtime was found: containers cannot be created; help: install one (apt-get install runc)',
    );
    return undefined;
  }
  try {
    const features = await askFeatures(runtime);
    log('info', `OCI runtime ${runtime.program}, version ${features.version || 'unknown'}`);
    for (const flaws of knownFlaws(features)) {
      log('warn', `OCI runtime version ${features.version} is older than the fixes for ${flaws}`);
    }
    return features;
  } catch (error) {
    log('error', `the features of the OCI runtime ${runtime.program} cannot be read: ${String(error)}`);
    return undefined;
  }
}

async function readCapabilities(
  runtime: OciRuntime,
  paths: GuestPaths,
  systemd: boolean,
  log: GuestLog,
): Promise<Capabilities> {
  const features = await readFeatures(runtime, log);
  const version = cgroupVersion(paths.cgroup);
  return {
    seccomp: features?.seccomp ?? false,
    hasAppArmorProfile: (name) => hasAppArmorProfile(name, paths.sys),
    selinux: existsSync(join(paths.sys, 'fs/selinux/enforce')),
    cgroupVersion: version,
    systemd: systemd && version === 2,
    hugePages: limitableHugePages(paths),
    flaws: features === undefined ? [] : knownFlaws(features),
    processes: defaultPidsLimit(paths),
  };
}

/**
 * Reports whether the kernel has loaded an AppArmor profile. The list has one `NAME (MODE)` per line (Linux,
 * security/apparmor/apparmorfs.c), and is read at each call: profiles can be loaded at any time.
 */
function hasAppArmorProfile(name: string, sys: string): boolean {
  const loaded = readIfThere(join(sys, 'kernel/security/apparmor/profiles'))?.toString() ?? '';
  return loaded.split('\n').some((line) => line.replace(/ \([a-z]+\)$/, '') === name);
}
