import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ImageProgram } from '@kata-agent/catalogue';
import { isOfSandbox } from '@kata-agent/catalogue/requested-root';
import { mount, MountAttribute, type Syscalls } from '@kata-agent/linux';
import { openMounted, withMountDirectory } from '../confidential/mount-directory.js';
import { bundleOf } from '../container/bundle.js';
import type { UndoStack } from '../undo-stack.js';
import type { DeviceWatch } from '../device/device-watch.js';
import type { Disks } from '../device/disks.js';
import type { GuestLog } from '../guest-log.js';
import type { HostMedia } from '../media/host-media.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import type { RunningCommands } from '../runtime/running-commands.js';
import type { ImagePuller, ImageStore } from './image-puller.js';
import { GuestError } from '../guest-error.js';
import { quotedWord } from '../quoted.js';
import type { OciSpec } from '../request/oci-spec.js';
import type { AttachedDevice, CreateContainer, PulledImage, Storage } from '../request/actions.js';
import { copyMount } from '../source/staged-mounts.js';
import { readPauseBundle } from './pause-bundle.js';
import type { RequestedProgram } from './program/read-program.js';
import { refuseScratch, takeScratch } from './store/scratch-disk.js';
import { storeImage } from './store/stored-image.js';

export interface OwnRootContext {
  readonly syscalls: Syscalls;
  readonly media: HostMedia;
  readonly paths: GuestPaths;
  readonly log: GuestLog;
  readonly devices: DeviceWatch;
  readonly disks: Disks;
  readonly commands: RunningCommands;
  /** Undefined: the guest pulls no images. */
  readonly images: ImagePuller | undefined;
  /** Undefined: the images have no disk that they share. */
  readonly imageStore: ImageStore | undefined;
  /** The directory with the bundle of the pause container. */
  readonly pauseBundle: string;
}

/** The pause container has one program. */
const pauseSize = '64m';

/**
 * Pulls the root of a container, or copies that of the pause container, and mounts it at `rootfs` in the bundle, whose path it
 * returns. If `authorizeRoot` throws, it is removed again. An image that belongs on a disk is moved there when it is authorized.
 */
export async function mountOwnRoot(
  storage: Storage,
  { id, spec, sharedMounts, scratch, signal, authorizeRoot }: Requested,
  context: OwnRootContext,
  made: UndoStack,
): Promise<string> {
  if (authorizeRoot === undefined)
    throw new GuestError('internal', `container ${id}: nothing authorizes the image that the guest pulls`);
  const rootfs = join(bundleOf(id, context.paths), 'rootfs');
  const isPause = isOfSandbox(spec.annotations ?? {});
  const pack = isPause ? undefined : context.images?.pack;
  const store = isPause ? undefined : context.imageStore;
  if (pack === undefined && store === undefined) refuseScratch(scratch, id);
  if (store !== undefined)
    await context.commands.run({ container: id, command: 'pull', call: signal }, (ending) =>
      store.prepare({ scratch, container: id, signal: ending }),
    );
  const disk = pack && (await takeScratch(scratch, id, context, made));
  try {
    await withMountDirectory(context, async (directory) => {
      if (isPause) copyPause(directory, context);
      const image = isPause ? undefined : await pull({ storage, id, directory, signal }, context);
      await store?.warnIfUnused(id);
      authorizeRoot(
        image,
        await programOf(directory, { ...requestedOf(spec), sharedMounts }, image, context),
      );
      if (pack !== undefined && disk !== undefined)
        await context.commands.run({ container: id, command: 'pull', call: signal }, async (ending) => {
          const packed = await pack({ reference: storage.source, directory, signal: ending });
          await storeImage({ directory, image: packed, disk, container: id, signal: ending }, context);
        });
      attach(directory, rootfs, context, made);
    });
  } finally {
    await disk?.close();
  }
  await context.media.run('checkKernelPlaces', { rootfs, path: storage.source });
  return rootfs;
}

function requestedOf({ process, mounts, linux }: OciSpec): RequestedProgram {
  return { process, mounts, linux };
}

/** Reads the program in advance: the root may be on a disk of the host. Only a rule that asks for it meets a failure. */
async function programOf(
  directory: string,
  requested: RequestedProgram,
  image: PulledImage | undefined,
  { media }: Pick<OwnRootContext, 'media'>,
): Promise<() => ImageProgram | undefined> {
  const args = { root: join(directory, 'rootfs'), requested, user: image?.config?.user };
  return media.run('readProgram', args).then(
    (program) => () => program,
    (error: unknown) => () => {
      throw error;
    },
  );
}

type Requested = Pick<CreateContainer, 'id' | 'spec' | 'sharedMounts' | 'authorizeRoot'> & {
  /** The disk for the image; undefined: the request has none. */
  readonly scratch: AttachedDevice | undefined;
  readonly signal: AbortSignal | undefined;
};

interface Pull {
  readonly storage: Storage;
  readonly id: string;
  readonly directory: string;
  readonly signal: AbortSignal | undefined;
}

async function pull(
  { storage, id, directory, signal: call }: Pull,
  { images, commands, log }: Pick<OwnRootContext, 'images' | 'commands' | 'log'>,
): Promise<PulledImage> {
  const { source: reference } = storage;
  if (images === undefined)
    throw new GuestError(
      'precondition',
      `container ${id}: image ${quotedWord(reference)} is not pulled: this guest pulls no images; help: set [image] puller in its configuration, or, without a configuration, add the confidential data hub to the image`,
    );
  return await commands.run({ container: id, command: 'pull', call }, async (signal) => {
    log('info', 'an image is pulled', { container: id, image: reference });
    const image = await images.pull({ reference, directory, container: id, signal });
    log('info', 'an image was pulled', {
      container: id,
      image: reference,
      digest: image.digest ?? 'unknown',
    });
    return image;
  });
}

function copyPause(directory: string, { pauseBundle, syscalls }: OwnRootContext): void {
  const { rootfs } = readPauseBundle(pauseBundle);
  const target = join(directory, 'rootfs');
  mkdirSync(target);
  mount(syscalls, { source: 'tmpfs', target, type: 'tmpfs', options: ['mode=755', `size=${pauseSize}`] });
  cpSync(rootfs, target, { recursive: true, verbatimSymlinks: true });
}

/** The container's root has no device nodes, whatever the puller has made. */
function attach(
  directory: string,
  rootfs: string,
  context: Pick<OwnRootContext, 'syscalls' | 'media'>,
  made: UndoStack,
): void {
  const descriptor = openMounted(directory, 'rootfs', context.syscalls);
  try {
    const source = { descriptor, isDirectory: true, writable: true };
    copyMount(rootfs, source, { recursive: false, attributes: MountAttribute.NoDev }, context, made);
  } finally {
    descriptor.close();
  }
}
