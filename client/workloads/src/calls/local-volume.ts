import { sharedDirectory } from '@kata-agent/catalogue';
import type { Volume } from '../pod/workload.js';
import type { RuntimeSetup } from './runtime-setup.js';

/** The directory of emptyDir volumes, below that of the sandbox's first container, whose ID is the sandbox's ID. */
export function localDirectory({ runtime }: Pick<RuntimeSetup, 'runtime'>): {
  readonly before: string;
  readonly after: string;
} {
  const before = runtime === 'rs' ? `${sharedDirectory}/passthrough/` : `${sharedDirectory}/`;
  return { before, after: '/rootfs/local/' };
}

/**
 * Returns where an emptyDir on disk is: `emptydir_mode` of the runtime's configuration. By default that of Kata's
 * configurations for the guest.
 */
export function emptyDirMode({
  runtime,
  guest,
  emptyDirs,
}: Pick<RuntimeSetup, 'runtime' | 'guest' | 'emptyDirs'>): NonNullable<RuntimeSetup['emptyDirs']> {
  if (emptyDirs !== undefined) return emptyDirs;
  return guest === 'confidential' && runtime !== 'remote' ? 'block-encrypted' : 'shared-fs';
}

/**
 * Reports whether the guest creates the directory of a volume by a storage `local`; the mount then has that type too.
 * The Go runtime does so for an emptyDir on disk if the host shares files, and for peer pods; runtime-rs shares the
 * host's directory, unless no file system is shared.
 *
 * Sources: `SetEphemeralStorageType` in `pkg/katautils/create.go` and `handleLocalStorage` in
 * `virtcontainers/kata_agent.go` of Kata Containers 4.1.0, with the default `disable_guest_empty_dir = false`;
 * `need_local_volume` in runtime-rs, of which the storage and the mount are recorded.
 */
export function isLocalVolume({ kind, memory }: Volume, setup: RuntimeSetup): boolean {
  if (kind !== 'emptyDir' || memory || emptyDirMode(setup) !== 'shared-fs') return false;
  return setup.runtime !== 'rs' || setup.guest === 'confidential';
}
