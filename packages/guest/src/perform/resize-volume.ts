import type { Guest } from '../guest.js';
import { grownDisk, resizeVolume as resize } from '../resource/resize-volume.js';
import { atVolume } from '../resource/volume-place.js';

export function resizeVolume(guest: Guest, path: string, bytes: bigint): Promise<void> {
  const { context } = guest;
  // Only that it is a volume of ours: the mount table has the path as it was mounted.
  const admit = (): void => atVolume(path, context, () => undefined);
  return guest.changeWith({
    admit,
    needs: () => {
      admit();
      return [grownDisk(path, bytes, context.paths)];
    },
    task: () => resize(path, bytes, context),
  });
}
