import type { Syscalls } from '@kata-agent/linux';
import type { CgroupAncestors } from '../cgroup/cgroup-ancestors.js';
import type { CgroupNames } from '../cgroup/cgroup-names.js';
import { type CgroupPaths, cgroupPathsOf } from '../cgroup/cgroup-paths.js';
import { killAll } from '../cgroup/freeze-and-kill.js';
import { narrowDevices } from '../cgroup/cgroup-limits.js';
import type { OomWatch } from '../cgroup/oom-watch.js';
import { checkBoundingSet } from '../container/process-status.js';
import type { ContainerProcess } from '../container/container-process.js';
import { type LaunchContext, launchProcess } from '../container/launch-process.js';
import { type NamedMount, refusedDestinations } from '../container/refuse-links.js';
import { namespacesOf, SysctlChanges } from '../container/sysctl-changes.js';
import { PinnedNamespaces } from '../container/pinned-namespaces.js';
import { shareMounts } from '../container/share-mounts.js';
import type { DeviceWatch } from '../device/device-watch.js';
import type { GuestLog } from '../guest-log.js';
import type { HostMedia } from '../media/host-media.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import { create, remove } from '../runtime/command-lines.js';
import type { OciRuntime } from '../runtime/oci-runtime.js';
import type { RunningCommands } from '../runtime/running-commands.js';
import { checkSystemdBus } from '../runtime/runtime-features.js';
import type { BuiltSpec } from './build-spec.js';
import { warnOfMissing } from './configure.js';
import type { Creation } from './creation.js';
import type { Decided } from './decide.js';
import type { ResolvedMounts, StagedSources } from './mounts.js';

export interface CgroupServices {
  readonly runtime: OciRuntime;
  readonly cgroups: CgroupNames;
  readonly ancestors: CgroupAncestors;
}

/** Reserves the name of the cgroup; returns its ancestors that the OCI runtime may create. */
export function reserveCgroup({
  built: { cgroup },
  services: { runtime, cgroups, ancestors },
  made,
}: Creation<CgroupServices> & {
  readonly built: BuiltSpec;
  readonly configured: void;
}): readonly string[] {
  if (cgroup.isScope) checkSystemdBus(runtime.known);
  made.push('name of the cgroup', cgroups.take(cgroup));
  // The slices of a scope are systemd's.
  const expected = cgroup.isScope ? [] : ancestors.expect(cgroup.path);
  made.push('cgroups above the container', () => ancestors.sweep(expected));
  return expected;
}

export interface LaunchServices extends LaunchContext {
  readonly runtime: OciRuntime;
  readonly commands: RunningCommands;
}

/** Runs the `create` of the OCI runtime; returns the first process, which waits for `start`. */
export async function launch({
  sandbox: { signal: call },
  decided: { id, bundle },
  built: { spec, cgroup },
  services,
  made,
}: Creation<LaunchServices> & {
  readonly decided: Decided;
  readonly built: BuiltSpec;
  readonly ancestors: readonly string[];
}): Promise<ContainerProcess> {
  const { runtime, commands } = services;
  made.push('what the runtime made', () => remove(runtime, id));
  const first = await launchProcess(
    { containerId: id, execId: id },
    spec.process.terminal ?? false,
    (stdio) =>
      commands.run({ container: id, command: 'create', call }, (signal) =>
        create(runtime, { id, bundle, isScope: cgroup.isScope }, stdio, signal),
      ),
    services,
  );
  made.push('streams of the first process', () => first.streams.end());
  return first;
}

export interface PinServices {
  readonly syscalls: Syscalls;
  readonly paths: GuestPaths;
}

export interface PinnedContainer {
  readonly pinned: PinnedNamespaces;
  readonly cgroups: CgroupPaths;
}

/** Opens the namespaces of the first process, and finds its cgroups. From here on its processes are killed at the end. */
export function pin({
  first,
  built: { cgroup },
  services: { syscalls, paths },
  made,
}: Creation<PinServices> & {
  readonly built: BuiltSpec;
  readonly first: ContainerProcess;
}): PinnedContainer {
  const pinned = PinnedNamespaces.open(first.pid, paths.proc);
  made.push('pinned namespaces', () => pinned.close());
  const cgroups = cgroupPathsOf(first.pid, cgroup.path, paths);
  made.push('processes', async () => {
    if (first.ended) return;
    await killAll(cgroups, syscalls);
    await first.exit;
  });
  return { pinned, cgroups };
}

export interface ConfineServices {
  readonly syscalls: Syscalls;
  readonly paths: GuestPaths;
  readonly log: GuestLog;
}

/** Restricts what the OCI runtime left wider than the spec, checks the capabilities, and writes the container's own sysctls. */
export function confine({
  decided: { id },
  first,
  built: { spec, namespaceSysctls },
  pinned: { pinned, cgroups },
  services: { syscalls, paths, log },
  made,
}: Creation<ConfineServices> & {
  readonly decided: Decided;
  readonly built: BuiltSpec;
  readonly first: ContainerProcess;
  readonly pinned: PinnedContainer;
}): SysctlChanges {
  narrowDevices(cgroups, spec.linux?.resources?.devices ?? [], syscalls);
  checkBoundingSet(first.pid, spec.process.capabilities ?? {}, paths.proc, id);
  const ownSysctls = new SysctlChanges(namespacesOf(syscalls, pinned), paths.proc);
  made.push('sysctls of its namespaces', () => ownSysctls.rollBack());
  warnOfMissing(ownSysctls.write(namespaceSysctls), id, log);
  return ownSysctls;
}

export interface LinkServices {
  readonly mountsWithoutLinks: readonly NamedMount[];
  readonly media: HostMedia;
  readonly paths: GuestPaths;
}

/** Refuses symbolic links in the mounts in which none is followed. */
export async function refuseLinks({
  decided: { nameInPod },
  staged: { staged },
  resolved: { destinations },
  first,
  services: { mountsWithoutLinks, media, paths },
}: Creation<LinkServices> & {
  readonly decided: Decided;
  readonly staged: StagedSources;
  readonly resolved: ResolvedMounts;
  readonly first: ContainerProcess;
  readonly ownSysctls: SysctlChanges;
}): Promise<void> {
  const refused = refusedDestinations(mountsWithoutLinks, nameInPod, {
    requested: staged.map(({ destination }) => destination),
    resolved: destinations,
  });
  if (refused.length > 0)
    await media.run('refuseLinks', { pid: first.pid, proc: paths.proc, destinations, refused });
}

export interface SharingServices {
  readonly media: HostMedia;
  readonly paths: GuestPaths;
  readonly devices: DeviceWatch;
}

/** Attaches mounts that processes of other containers made. */
export function attachSharedMounts({
  request: { sharedMounts },
  sandbox: { find },
  pinned: { pinned },
  services,
}: Creation<SharingServices> & {
  readonly pinned: PinnedContainer;
  readonly linksRefused: void;
}): Promise<void> {
  return shareMounts(sharedMounts ?? [], pinned.mounts, find, services);
}

/** Reports out-of-memory kills in the container's cgroup. */
export function watchMemory({
  decided: { id },
  first,
  pinned: { cgroups },
  services: { oom },
  made,
}: Creation<{ readonly oom: OomWatch }> & {
  readonly decided: Decided;
  readonly first: ContainerProcess;
  readonly pinned: PinnedContainer;
  readonly shared: void;
}): void {
  oom.add(id, cgroups, () => first.noteKill());
  made.push('OOM watch', () => oom.remove(id));
}
