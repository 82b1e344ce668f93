import type { Volume } from '../pod/workload.js';
import type { RuntimeSetup } from './runtime-setup.js';

/** The folders of emptyDir volumes, below that of the sandbox's first container, which has the sandbox's own identifier. */
export const localFolder = {
  before: '/run/kata-containers/shared/containers/',
  after: '/rootfs/local/',
} as const;

/**
 * Whether the guest makes the folder of a volume by a storage `local`, whose mount then has that type as well. The runtime
 * in Go does so for an emptyDir on disk where the host shares files; runtime-rs shares the host's folder.
 *
 * Source: `SetEphemeralStorageType` in `pkg/katautils/create.go` and `handleLocalStorage` in `virtcontainers/kata_agent.go`
 * of Kata Containers 4.1.0, with the default `disable_guest_empty_dir = false`.
 */
export function isLocalVolume({ kind, memory }: Volume, { runtime, guest }: RuntimeSetup): boolean {
  return kind === 'emptyDir' && !memory && runtime === 'go' && guest === 'shared-fs';
}
