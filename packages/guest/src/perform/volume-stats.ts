import type { Guest } from '../guest.js';
import { atVolume } from '../resource/volume-place.js';
import { type VolumeUsage, volumeStats as stats } from '../resource/volume-stats.js';
import { translated } from '../translate-error.js';

export function volumeStats({ context }: Guest, path: string): Promise<readonly VolumeUsage[]> {
  return translated(async () => atVolume(path, context, stats));
}
