import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { isOfSandbox, requestedRoot } from '@kata-agent/catalogue/requested-root';
import { Directory, MountAttribute } from '@kata-agent/linux';
import type { UndoStack } from '../undo-stack.js';
import { GuestError } from '../guest-error.js';
import { quotedWord } from '../quoted.js';
import type { CreateContainer, Storage } from '../request/actions.js';
import { isRootPath } from '../source/source-place.js';
import { copyMount, type StagingContext } from '../source/staged-mounts.js';
import { layersDirectory, verifiedRootName } from '../storage/drivers/multi-layer-erofs.js';
import { rootLayersOf } from '../storage/root-layers.js';
import { guestPullDriver } from '../storage/drivers/storage-drivers.js';

type Requested = Pick<CreateContainer, 'id' | 'spec' | 'storages'>;

/**
 * Refuses each root but verified layers: the only place where that is decided. The root of the sandbox's own container is in the
 * guest image.
 *
 * @throws GuestError `refused`
 */
export function checkVerifiedRoot({ id, spec, storages }: Requested): void {
  const root = requestedRoot({
    id,
    annotations: spec.annotations ?? {},
    rootPath: spec.root?.path,
    storages: storages.flatMap((storage) => storage.layers ?? [storage]),
  });
  if (root.kind === 'pause') return;
  if (root.kind === 'refused')
    throw new GuestError(
      'refused',
      `container ${quotedWord(id)}: its root must consist of verified layers ([image] layers = "verified"): ${root.why}`,
    );
  // What is mounted is read from the same options by the code for all layers, which must see the same.
  const [mounted, second] = storages.filter(({ layers }) => layers !== undefined).map(rootLayersOf);
  const values = mounted?.lowers.toReversed().map(
    ({ verity }) =>
      verity && {
        rootHash: verity.rootHash,
        salt: verity.salt,
        dataBlocks: verity.hashOffset / verity.dataBlockSize,
      },
  );
  if (second !== undefined || mounted?.upper !== undefined || !isDeepStrictEqual(values, root.layers))
    throw new GuestError('internal', `container ${quotedWord(id)}: its layers are read in two ways`);
}

/**
 * Returns a storage for the root of the pause container, which is in the guest image: the host's is not used. Undefined: it is
 * another container.
 */
export function pauseRootOf(
  { id, spec }: Pick<Requested, 'id' | 'spec'>,
  { kata }: { readonly kata: string },
): Storage | undefined {
  if (!isOfSandbox(spec.annotations ?? {})) return undefined;
  return {
    driver: guestPullDriver,
    driverOptions: [],
    source: 'pause',
    fstype: 'overlay',
    options: [],
    mountPoint: join(kata, id, 'rootfs'),
    shared: false,
  };
}

/**
 * Returns the storages of a request that the guest uses, whose devices it waits for: in a guest with verified layers not those for
 * the root of the pause container.
 */
export function usedStorages(
  { id, spec, storages }: Requested,
  { paths, verifiedLayers }: { readonly paths: { readonly kata: string }; readonly verifiedLayers: boolean },
): readonly Storage[] {
  if (!verifiedLayers || !isOfSandbox(spec.annotations ?? {})) return storages;
  return storages.filter((storage) => !isForRoot(storage, id, paths));
}

/** Reports whether a storage of a request is for the root of its container. */
function isForRoot({ mountPoint }: Storage, id: string, { kata }: { readonly kata: string }): boolean {
  return mountPoint.startsWith(`${kata}/`) && isRootPath(mountPoint.slice(kata.length + 1), id);
}

/** Mounts the root that consists of verified layers at `rootfs` in the bundle, whose path it returns. No path of the request is used. */
export async function placeVerifiedRoot(
  bundle: string,
  context: StagingContext,
  made: UndoStack,
): Promise<string> {
  const { syscalls, media } = context;
  const rootfs = join(bundle, 'rootfs');
  const layers = Directory.open(syscalls, join(bundle, layersDirectory));
  try {
    const source = { descriptor: layers.place(verifiedRootName), isDirectory: true, writable: true };
    try {
      copyMount(rootfs, source, { recursive: false, attributes: MountAttribute.NoDev }, context, made);
    } finally {
      source.descriptor.close();
    }
  } finally {
    layers.close();
  }
  await media.run('checkKernelPlaces', { rootfs, path: rootfs });
  return rootfs;
}
