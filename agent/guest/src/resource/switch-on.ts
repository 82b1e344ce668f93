import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Brings a device online; returns whether it was offline before. */
    readonly switchOn: (args: { readonly file: string }) => boolean;
    /** Brings at most `max` devices online. */
    readonly switchOnAll: (args: {
      readonly kind: Plugged;
      readonly max: number;
      readonly sys: string;
    }) => void;
  }
}

/** What is plugged, by its name in sysfs: `cpu1`, `memory32`. */
export type Plugged = 'cpu' | 'memory';

/** Brings at most `max` offline devices online. Skips a device that cannot: another one may. `done`: called after each. */
export function switchOnAll(
  { kind, max, sys }: { readonly kind: Plugged; readonly max: number; readonly sys: string },
  done: () => void,
): void {
  const directory = join(sys, 'devices/system', kind);
  if (!existsSync(directory)) return;
  const isOne = (entry: string): boolean => entry.startsWith(kind) && /^\d+$/.test(entry.slice(kind.length));
  let left = max;
  for (const entry of readdirSync(directory).filter(isOne)) {
    if (left <= 0) return;
    if (switchOn(join(directory, entry, 'online'))) left -= 1;
    done();
  }
}

/** Brings a device online; returns whether it was offline before. `file`: its `online` file, which the first CPU of some machines lacks. */
export function switchOn(file: string): boolean {
  try {
    if (readFileSync(file, 'utf8').trim() !== '0') return false;
    writeFileSync(file, '1');
    return true;
  } catch (error) {
    // ENOENT: no such file. Others: the device is being removed or cannot be used.
    if (hasCode(error, 'ENOENT', 'EBUSY', 'EINVAL', 'EIO', 'ENODEV', 'EPERM', 'EACCES')) return false;
    throw error;
  }
}
