/** Directorys of agent/guest/src whose modules meet paths, disks or mounts of the host. */
const directories =
  /^(?:confidential|container|content|create|device|image|paths|perform|removal|resource|source|storage)\//;

/** Functions of @kata-agent/base that take paths. */
const ofBase: ReadonlySet<string> = new Set(['readIfThere', 'replaceFile']);

/** Functions of node:fs that take descriptors, or do nothing in a file system. */
const harmless: ReadonlySet<string> = new Set([
  'close',
  'closeSync',
  'constants',
  'fchmodSync',
  'fchownSync',
  'fstatSync',
  'fsyncSync',
  'ftruncateSync',
  'read',
  'readSync',
  'write',
  'writeSync',
]);

/** What of @kata-agent/linux resolves paths or copies mounts. */
const ofLinux: ReadonlySet<string> = new Set(['Directory', 'MountTree']);

/**
 * Modules that use files on the event loop, by what these are. A module that comes here needs a reason that the host cannot make it
 * wait.
 */
const reasons: readonly { readonly reason: string; readonly modules: readonly string[] }[] = [
  {
    reason: "the kernel's files: /proc, /sys, cgroups, and nodes of /dev that are looked at and not opened",
    modules: [
      'confidential/refuse-swap.ts',
      'container/process-status.ts',
      'container/pinned-namespaces.ts',
      'container/share-mounts.ts',
      'container/sysctl-changes.ts',
      'device/device-number.ts',
      // Nodes in devtmpfs, opened with O_PATH: that does not open their devices.
      'device/disks.ts',
      'device/find-device.ts',
      'device/guest-devices.ts',
      'device/pci-path.ts',
      'device/vfio-devices.ts',
      'resource/online.ts',
      'resource/resize-volume.ts',
      'resource/swap.ts',
      'storage/drivers/ephemeral.ts',
    ],
  },
  {
    reason:
      "directories and mount points of the agent, in memory: its state, a bundle, Kata's directory itself",
    modules: [
      'confidential/mount-directory.ts',
      'container/bundle.ts',
      'create/configure.ts',
      'container/image-volumes.ts',
      'create/rootfs.ts',
      'storage/writable-layer.ts',
      'image/store/shared-store.ts',
      // It reads an image in memory, and opens a device again that is open.
      'image/store/stored-image.ts',
      'image/verified-root.ts',
      'source/memory-copies.ts',
      'source/pod-sources.ts',
      'source/staged-mounts.ts',
      'storage/drivers/blank-disk.ts',
      'storage/drivers/multi-layer-erofs.ts',
      'storage/mount-point.ts',
      'storage/storage-mounts.ts',
    ],
  },
  {
    reason:
      "the guest's own image, and what its configuration names: a host that stalls that stops the guest",
    modules: ['image/own-root.ts', 'image/pause-bundle.ts', 'container/network-namespace.ts'],
  },
  {
    reason: 'tasks alone call what uses files; others use its names of directories',
    modules: ['source/shared-directory.ts'],
  },
];

/** A module, and what it imports: values by module, of agent/guest/src or a package. */
export type Imports = ReadonlyMap<
  string,
  readonly { readonly module: string; readonly names: readonly string[] }[]
>;

/**
 * Returns each use of files on the event loop without a reason, and each reason without a use.
 *
 * @param imports of the modules of agent/guest/src
 * @param entries the modules with the tasks of threads
 */
export function loopFileFaults(imports: Imports, entries: readonly string[]): readonly string[] {
  const ofThreads = threadModules(imports, entries);
  const listed = new Set(reasons.flatMap(({ modules }) => modules));
  const faults: string[] = [];
  const used = new Set<string>();
  for (const [path, imported] of imports) {
    if (!directories.test(path) || ofThreads.has(path)) continue;
    const names = imported.flatMap((each) => each.names.filter((name) => usesFiles(each.module, name)));
    if (names.length === 0) continue;
    used.add(path);
    if (!listed.has(path))
      faults.push(
        `agent/guest/src/${path} uses files on the event loop (${names.join(', ')}); help: use them in a task of agent/guest/src/media-thread/tasks.ts, or give the reason why the host cannot make it wait in dev/repository/src/check/loop-files.ts`,
      );
  }
  for (const path of listed)
    if (imports.has(path) && !used.has(path))
      faults.push(`agent/guest/src/${path} uses no files on the event loop; help: remove its reason`);
  return faults;
}

function usesFiles(module: string, name: string): boolean {
  if (module === 'node:fs' || module === 'node:fs/promises') return !harmless.has(name);
  if (module === '@kata-agent/base') return ofBase.has(name);
  return module === '@kata-agent/linux' && ofLinux.has(name);
}

/** Returns the modules that only tasks use: each module that imports one is one, too. `entries`: those that tasks begin in. */
export function threadModules(imports: Imports, entries: readonly string[]): ReadonlySet<string> {
  const importers = new Map<string, string[]>();
  for (const [path, imported] of imports)
    for (const { module, names } of imported)
      if (names.length > 0) importers.set(module, [...(importers.get(module) ?? []), path]);
  const found = new Set(entries);
  for (let size = -1; size !== found.size; ) {
    size = found.size;
    for (const [path, by] of importers) if (by.every((each) => found.has(each))) found.add(path);
  }
  return found;
}
