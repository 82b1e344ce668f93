import type { EndpointRows } from '../endpoint.js';

/** Files, mounts and volumes of the guest. */
export const storageRows: EndpointRows<
  'CopyFile' | 'UpdateEphemeralMounts' | 'RemoveStaleVirtiofsShareMounts' | 'GetVolumeStats' | 'ResizeVolume'
> = {
  CopyFile: {
    purpose:
      'Writes a file, directory or symbolic link below the shared directory of the guest, piece by piece.',
    exposure:
      'The caller puts content of its choice where containers mount it, at any time: configuration, secrets, scripts.',
    without:
      'Without a shared filesystem pods do not start, or see no configmaps, secrets and no later changes of them. ' +
      'With one it is not needed.',
    release: '2.0.0',
    changes: true,
    clients: {
      go: 'without a shared filesystem: before CreateContainer, and when a watched volume changes',
      rs: 'without a shared filesystem: before CreateContainer, and when a watched volume changes',
    },
  },
  UpdateEphemeralMounts: {
    purpose: 'Mounts in-memory volumes again with a new size, after memory was added.',
    exposure:
      'Changes options of the tmpfs mounts that pods use for emptyDir: their size, thus whether writes fail.',
    without:
      'Such volumes keep the size of their first mount. The Go runtime takes UNIMPLEMENTED for an older agent.',
    release: '3.2.0',
    changes: true,
    clients: { go: "after each resize of the machine's memory", rs: 'never' },
  },
  RemoveStaleVirtiofsShareMounts: {
    purpose: 'Looks up each mount below the shared directory, so that the host releases stale ones.',
    exposure: 'None known: it takes no arguments and returns nothing.',
    without: 'With the Go runtime, removing a container fails unless it is forced.',
    release: '3.2.0',
    changes: true,
    clients: { go: 'once a container, after RemoveContainer', rs: 'never' },
  },
  GetVolumeStats: {
    purpose: 'Returns size and usage of a directly assigned volume, in bytes and inodes.',
    exposure: 'Discloses, for any path, whether it exists and how full its filesystem is.',
    without: 'kata-runtime direct-volume stats fails, so such volumes have no metrics.',
    release: '2.4.0',
    changes: false,
    clients: {
      go: "when a storage driver asks through the shim's management socket",
      rs: "when a storage driver asks through the shim's management socket",
    },
  },
  ResizeVolume: {
    purpose: "Would resize a directly assigned volume. Kata's own agent always answers UNIMPLEMENTED.",
    exposure: 'None: nothing performs it.',
    without: 'Nothing that works today.',
    release: '2.4.0',
    changes: true,
    clients: {
      go: "when a storage driver asks through the shim's management socket",
      rs: "when a storage driver asks through the shim's management socket",
    },
  },
};
