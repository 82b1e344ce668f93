import { sharedDirectory } from '@kata-agent/catalogue';
import type { Volume } from '../pod/workload.js';
import type { RuntimeSetup } from './runtime-setup.js';

/** The directory of emptyDir volumes, below that of the sandbox's first container, whose ID is the sandbox's ID. */
export const localDirectory: { readonly before: string; readonly after: string } = {
  before: `${sharedDirectory}/`,
  after: '/rootfs/local/',
};

/**
 * Reports whether the guest creates the directory of a volume by a storage `local`; the mount then has that type too.
 * The Go runtime does so for an emptyDir on disk if the host shares files, and for peer pods; runtime-rs shares the
 * host's directory.
 *
 * Source: `SetEphemeralStorageType` in `pkg/katautils/create.go` and `handleLocalStorage` in
 * `virtcontainers/kata_agent.go` of Kata Containers 4.1.0, with the default `disable_guest_empty_dir = false`.
 */
export function isLocalVolume({ kind, memory }: Volume, { runtime, guest }: RuntimeSetup): boolean {
  const isLocal = runtime === 'remote' || (runtime === 'go' && guest === 'shared-fs');
  return kind === 'emptyDir' && !memory && isLocal;
}
