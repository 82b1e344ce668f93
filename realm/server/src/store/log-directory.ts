import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { Semaphore } from '@kata-agent/base';
import { type FileLayer, systemFiles } from '@kata-agent/audit';
import { DirectoryLogStorage } from './directory-log-storage.js';
import type { LogStorage } from './log-storage.js';
import { type ScannedGuest, scanGuests } from './scan-guests.js';
import { StoreSpace, type StoreSpaceOptions } from './store-space.js';

/** Of Node.js's four threads for files, so that one remains for others when a disk is slow. */
const writesAtOnce = 2;

/** A directory with the logs of guests: `guests/ID/`. */
export interface LogDirectory {
  readonly space: StoreSpace;
  readonly storage: (id: string) => LogStorage;
  readonly scan: () => Promise<readonly ScannedGuest[]>;
}

/** Opens the logs of a directory that is locked. `space` is their limit together. Throws the system's error. */
export async function openLogDirectory(
  directory: string,
  space: Pick<StoreSpaceOptions, 'max' | 'everyMs' | 'onChange'>,
  files: FileLayer = systemFiles(),
): Promise<LogDirectory> {
  const guests = join(directory, 'guests');
  const slots = new Semaphore(writesAtOnce);
  const scan = (): Promise<readonly ScannedGuest[]> => scanGuests(guests);
  const used = new StoreSpace({
    ...space,
    measure: async () => bytesOf(await scan()),
    free: async () => {
      const { bavail, bsize } = await statfs(directory);
      return bavail * bsize;
    },
  });
  await used.open();
  return {
    space: used,
    storage: (id) => new DirectoryLogStorage(id, { directory: guests, files, slots, space: used }),
    scan,
  };
}

function bytesOf(guests: readonly ScannedGuest[]): number {
  return StoreSpace.of(
    guests.length,
    guests.reduce((sum, { bytes }) => sum + bytes, 0),
  );
}
