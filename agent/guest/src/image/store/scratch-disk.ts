import { scratchPath } from '@kata-agent/catalogue/requested-root';
import { HeldDisk } from '../../device/held-disk.js';
import { attachments } from '../../device/attach-devices.js';
import type { UndoStack } from '../../undo-stack.js';
import type { DeviceWatch } from '../../device/device-watch.js';
import type { Disks } from '../../device/disks.js';
import type { GuestLog } from '../../guest-log.js';
import type { HostMedia } from '../../media/host-media.js';
import { GuestError } from '../../guest-error.js';
import type { AttachedDevice, CreateContainer } from '../../request/actions.js';
import type { OciSpec } from '../../request/oci-spec.js';

interface ScratchContext {
  readonly media: HostMedia;
  readonly log: GuestLog;
  readonly devices: DeviceWatch;
}

/** A request without its scratch disk: the container gets no node of that. */
export interface WithoutScratch {
  readonly spec: OciSpec;
  readonly devices: readonly AttachedDevice[];
  readonly scratch: AttachedDevice | undefined;
}

/**
 * Separates the scratch disk for the image from the devices of the container.
 *
 * @throws GuestError `invalid`: two devices are named so
 */
export function withoutScratch({
  spec,
  devices = [],
}: Pick<CreateContainer, 'spec' | 'devices'>): WithoutScratch {
  const [scratch, second] = devices.filter(isScratch);
  if (scratch === undefined) return { spec, devices, scratch };
  if (second !== undefined) throw new GuestError('invalid', `two devices are for ${scratchPath}`);
  const { linux } = spec;
  const nodes = linux?.devices?.filter(({ path }) => path !== scratchPath);
  return {
    spec: linux === undefined ? spec : { ...spec, linux: { ...linux, devices: nodes } },
    devices: devices.filter((each) => !isScratch(each)),
    scratch,
  };
}

function isScratch({ containerPath }: AttachedDevice): boolean {
  return containerPath === scratchPath;
}

/** Refuses a scratch disk for a container whose image is not stored on it. @throws GuestError `invalid` */
export function refuseScratch(scratch: AttachedDevice | undefined, container: string): void {
  if (scratch === undefined) return;
  throw new GuestError(
    'invalid',
    `container ${container} has a device ${scratchPath}, and its image is not pulled; help: attach it to a container whose image the guest pulls`,
  );
}

/**
 * Takes the scratch disk of a container for the guest alone; its release is pushed to `made`. The caller closes it.
 *
 * @throws GuestError `precondition`: the request has none; `refused`: it is in use
 */
export async function takeScratch(
  scratch: AttachedDevice | undefined,
  container: string,
  context: ScratchContext & { readonly disks: Disks },
  made: UndoStack,
): Promise<HeldDisk> {
  const disk = await openScratch(scratch, container, context);
  try {
    const release = await context.disks.takeHeld(disk);
    made.push(`disk ${disk.named}`, () => context.disks.releaseUnclaimed(disk.named, release));
    return disk;
  } catch (error) {
    await disk.close();
    throw error;
  }
}

/** Opens the scratch disk of a container; the caller closes it. @throws GuestError `precondition`: the request has none */
export async function openScratch(
  scratch: AttachedDevice | undefined,
  container: string,
  context: ScratchContext,
): Promise<HeldDisk> {
  if (scratch === undefined)
    throw new GuestError(
      'precondition',
      `container ${container}: its image cannot be stored: [image] store is "encrypted-disk", and the request has no disk at ${scratchPath}; help: add a block volume to the container with devicePath ${scratchPath}, or set store = "memory"`,
    );
  const [attachment] = attachments([scratch]);
  if (attachment?.kind !== 'disk')
    throw new GuestError('invalid', `the device at ${scratchPath} of container ${container} is not a disk`);
  return HeldDisk.open(context.devices.find(attachment.disk), context);
}
