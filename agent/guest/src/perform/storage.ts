import type { CopyFile, Storage } from '../request/actions.js';
import { admitCopy, type AdmittedCopy, copiedPath } from '../storage/copy-admission.js';
import { copyFile as place } from '../storage/copy-file.js';
import { GuestError, translated } from '../guest-error.js';
import { rulesOf } from '../source/source-place.js';
import type { Guest } from '../guest.js';
import { quotedPath } from '../quoted.js';
import { grownDisk, resizeVolume as resize } from '../resource/resize-volume.js';
import type { VolumeUsage } from '../resource/volume-calls.js';
import { cleanStorages } from '../storage/clean-storages.js';
import { cleanPath, contains } from '../paths/clean-path.js';

export function copyFile(guest: Guest, action: CopyFile): Promise<void> {
  const { paths, reservations } = guest.context;
  const path = copiedPath(action);
  const admit = (): AdmittedCopy =>
    admitCopy({ action, kata: paths.kata, refuseRoot: (each) => reservations.refuseRoot(each) });
  const copied = (): Promise<boolean> =>
    guest.change(() => reservations.copy(path, () => place(admit(), guest.context)), 'sandbox', admit);
  return translated(async () => {
    admit();
    // A create may begin while the copy is queued.
    await reservations.copyWhenFree(path, copied, guest.signal);
  });
}

/** Resizes tmpfs storages. All are looked up before the first is changed. */
export async function updateEphemeralMounts(guest: Guest, requested: readonly Storage[]): Promise<void> {
  const storages = cleanStorages(requested);
  return guest.change(async () => guest.context.storages.resizeMemory(storages));
}

/** Calls stat on each mount of the shared directory, so that virtiofsd releases files that the host has removed. */
export function touchSharedMounts({ context }: Guest): Promise<void> {
  return translated(() => context.media.run('touchMounts', { kata: context.paths.kata }));
}

/** Returns the use of a volume. */
export function volumeStats(guest: Guest, path: string): Promise<readonly VolumeUsage[]> {
  const { context } = guest;
  return translated(async () => {
    refuseInside(guest, path);
    return context.media.run('volumeStats', { path, rules: rulesOf(context) });
  });
}

/** Refuses a path in a volume, or in a container's bundle or root: whether it exists is the pod's business (S40). */
function refuseInside({ context, containers, creating }: Guest, path: string): void {
  const clean = `/${cleanPath(path, 'volume').join('/')}`;
  const around = context.storages.around(clean);
  const bundles = [...containers.keys(), ...creating.ids].map((id) => `${context.paths.kata}/${id}`);
  const isInside =
    (around.length > 0 && !around.includes(clean)) || bundles.some((bundle) => contains(bundle, clean));
  if (isInside)
    throw new GuestError(
      'refused',
      `${quotedPath(path)} is not a volume; help: name the mount point of a storage, or a directory of the share`,
    );
}

export function resizeVolume(guest: Guest, path: string, bytes: bigint): Promise<void> {
  const { context } = guest;
  // Checks only that it is a volume of the sandbox: the mount table has the path as it was mounted.
  const admit = (): Promise<void> =>
    translated(async () => {
      refuseInside(guest, path);
      await context.media.run('findVolume', { path, kata: context.paths.kata });
    });
  return admit().then(() =>
    guest.changeWith({
      needs: () => [grownDisk(path, bytes, context.paths)],
      task: async () => {
        await admit();
        await resize(path, bytes, context);
      },
    }),
  );
}
