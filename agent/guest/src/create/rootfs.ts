import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { MountAttribute, type Syscalls } from '@kata-agent/linux';
import type { GuestAccess } from '../guest-access.js';
import type { AttachedDevices } from '../device/attach-devices.js';
import { GuestError } from '../guest-error.js';
import type { GuestLog } from '../guest-log.js';
import { loadAndMountOwnRoot } from '../image/load-own-root.js';
import type { OwnRootContext } from '../image/own-root.js';
import { placeVerifiedRoot } from '../image/verified-root.js';
import type { HostMedia } from '../media/host-media.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import { refuseFlawedRuntime } from '../source/refuse-flawed-runtime.js';
import { stageAt } from '../source/staged-mounts.js';
import type { Capabilities } from '../spec/security-labels.js';
import type { StorageTable } from '../storage/storage-table.js';
import { mountCopyOnWrite } from '../storage/writable-layer.js';
import type { OpenedSources } from './container-sources.js';
import type { Creation } from './creation.js';
import type { Decided } from './decide.js';
import type { ReservedBundle } from './prepare.js';

/** Pulls or copies the root that the guest gets itself; returns its path. Undefined: the request has the root. */
export async function mountOwnRoot({
  request: { sharedMounts, authorizeRoot },
  sandbox: { signal },
  decided: { id, spec, pulled, scratch },
  services,
  made,
}: Creation<OwnRootContext> & {
  readonly decided: Decided;
  readonly attached: AttachedDevices;
  readonly reserved: ReservedBundle;
}): Promise<string | undefined> {
  if (pulled === undefined) return undefined;
  const requested = { id, spec, sharedMounts, scratch, signal, authorizeRoot };
  return await loadAndMountOwnRoot(pulled, requested, services, made);
}

/** Mounts the storages of the request; returns the mount points of the other ones that the container uses. */
export async function mountStorages({
  sandbox,
  decided: { id, bundle, spec, storages, mountPoints, places },
  services,
  made,
}: Creation<{ readonly storages: StorageTable }> & {
  readonly decided: Decided;
  readonly reserved: ReservedBundle;
  readonly ownRoot: string | undefined;
}): Promise<readonly string[]> {
  const owner = { kind: 'container', id, bundle, others: sandbox.others().map((each) => each.id) } as const;
  for (const storage of storages) await services.storages.add(storage, owner, made, places);
  // runtime-rs sends a storage once, with the first container that mounts it.
  return services.storages.useBelow(spec.mounts ?? [], mountPoints, made);
}

export interface RootServices {
  readonly syscalls: Syscalls;
  readonly media: HostMedia;
  readonly paths: GuestPaths;
  readonly access: GuestAccess;
  readonly verifiedLayers: boolean;
  readonly capabilities: () => Promise<Capabilities>;
  readonly log: GuestLog;
}

/**
 * The container's root is always `<bundle>/rootfs`, in a directory of the agent (S10, S29): a copy of the mount that a
 * storage of the request has at the container's rootfs below Kata's directory, or of the directory that the request
 * names. A container may write to a root in Kata's directories; one elsewhere in the guest is read-only, with an
 * overlay for the container's writes.
 */
export async function placeRoot({
  ownRoot,
  decided: {
    id,
    bundle,
    spec: { root },
    storages,
  },
  opened: { sources },
  services,
  made,
}: Creation<RootServices> & {
  readonly decided: Decided;
  readonly ownRoot: string | undefined;
  readonly opened: OpenedSources;
}): Promise<string> {
  if (ownRoot !== undefined) return ownRoot;
  if (services.verifiedLayers) return await placeVerifiedRoot(bundle, services, made);
  const { paths, media } = services;
  const rootfs = join(bundle, 'rootfs');
  const own = join(paths.kata, id, 'rootfs');
  const hasOwn = storages.some(({ mountPoint }) => mountPoint === own);
  if (!hasOwn && root === undefined)
    throw new GuestError('invalid', `the spec has no root, and no storage is mounted at ${own}`);
  const source = await sources.openRoot(hasOwn ? own : (root?.path ?? ''));
  try {
    if (!source.isDirectory)
      throw new GuestError('invalid', `root.path ${JSON.stringify(source.path)} is not a directory`);
    await refuseFlawedRuntime(source, services);
    const keepsWrites = source.kind === 'kata' || (source.kind === 'listed' && source.writable);
    if (keepsWrites || root?.readonly === true)
      // Without submounts: volumes of the pod are in the directory of its first container's root.
      stageAt(rootfs, source, { recursive: false, attributes: MountAttribute.NoDev }, services, made);
    else {
      mkdirSync(rootfs, { mode: 0o700 });
      made.push(`directory ${rootfs}`, () => rmdirSync(rootfs));
      const lower = source.descriptor.fd;
      await mountCopyOnWrite({ lower, target: rootfs, bundle }, services, made);
    }
    await media.run('checkKernelPlaces', { rootfs, path: source.path });
  } finally {
    source.descriptor.close();
  }
  return rootfs;
}
