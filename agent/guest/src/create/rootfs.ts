import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { MountAttribute } from '@kata-agent/linux';
import type { Storage } from '../request/actions.js';
import { GuestError } from '../error/guest-error.js';
import type { OciRoot } from '../request/oci-spec.js';
import type { ContainerSources } from './container-sources.js';
import { stageAt } from '../source/staged-mounts.js';
import type { HostMedia } from '../media/host-media.js';
import type { GuestContext } from '../context/guest-context.js';
import type { UndoStack } from '../undo-stack.js';
import { mountCopyOnWrite } from '../storage/writable-layer.js';
import { refuseFlawedRuntime } from '../source/refuse-flawed-runtime.js';

interface RootRequest {
  readonly id: string;
  /** The container's bundle. */
  readonly bundle: string;
  readonly root: OciRoot | undefined;
  readonly storages: readonly Storage[];
}

/**
 * The container's root is always `<bundle>/rootfs`, in a directory of the agent (S10, S29): a copy of the mount that a
 * storage of the request has at the container's rootfs below Kata's directory, or of the directory that the request
 * names. A container may write to a root in Kata's directories; one elsewhere in the guest is read-only, with an
 * overlay for the container's writes.
 */
export async function placeRootfs(
  { id, bundle, root, storages }: RootRequest,
  sources: ContainerSources,
  context: Pick<GuestContext, 'paths' | 'syscalls' | 'media' | 'access' | 'capabilities' | 'log'>,
  made: UndoStack,
): Promise<string> {
  const { paths, media } = context;
  const rootfs = join(bundle, 'rootfs');
  const own = join(paths.kata, id, 'rootfs');
  const hasOwn = storages.some(({ mountPoint }) => mountPoint === own);
  if (!hasOwn && root === undefined)
    throw new GuestError('invalid', `the spec has no root, and no storage is mounted at ${own}`);
  const source = await sources.openRoot(hasOwn ? own : (root?.path ?? ''));
  try {
    if (!source.isDirectory)
      throw new GuestError('invalid', `root.path ${JSON.stringify(source.path)} is not a directory`);
    await refuseFlawedRuntime(source, context);
    const keepsWrites = source.kind === 'kata' || (source.kind === 'listed' && source.writable);
    if (keepsWrites || root?.readonly === true)
      // Without submounts: volumes of the pod are in the directory of its first container's root.
      stageAt(rootfs, source, { recursive: false, attributes: MountAttribute.NoDev }, context, made);
    else {
      mkdirSync(rootfs, { mode: 0o700 });
      made.push(`directory ${rootfs}`, () => rmdirSync(rootfs));
      const lower = source.descriptor.fd;
      await mountCopyOnWrite({ lower, target: rootfs, bundle }, context, made);
    }
    await media.run('checkKernelPlaces', { rootfs, path: source.path });
  } finally {
    source.descriptor.close();
  }
  return rootfs;
}

/**
 * Returns the sandbox's resolv.conf if it can be mounted over the image's, which must have a regular file there.
 */
export async function resolvConfFor(
  rootfs: string,
  resolvConf: string | undefined,
  media: HostMedia,
): Promise<string | undefined> {
  if (resolvConf === undefined) return undefined;
  return (await media.run('hasRegularFile', { rootfs, path: 'etc/resolv.conf' })) ? resolvConf : undefined;
}
