import type { Guest } from '../guest.js';
import { resizeVolume as resize } from '../resource/resize-volume.js';
import { atVolume } from '../resource/volume-place.js';

export function resizeVolume(guest: Guest, path: string, bytes: bigint): Promise<void> {
  return guest.change(async () => {
    // Only that it is a volume of ours: the mount table has the path as it was mounted.
    atVolume(path, guest.context, () => undefined);
    await resize(path, bytes, guest.context);
  });
}
