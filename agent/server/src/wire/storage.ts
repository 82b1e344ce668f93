import type { Storage } from '@kata-agent/guest';
import type { Storage as WireStorage } from '@kata-agent/protocol/agent';
import { FSGroupChangePolicy } from '@kata-agent/protocol/types';

/** Converts a storage for the guest. */
export function storage(wire: WireStorage): Storage {
  return {
    driver: wire.driver,
    driverOptions: wire.driverOptions,
    source: wire.source,
    fstype: wire.fstype,
    options: wire.options,
    mountPoint: wire.mountPoint,
    fsGroup: wire.fsGroup && {
      groupId: wire.fsGroup.groupId,
      changePolicy:
        wire.fsGroup.groupChangePolicy === FSGroupChangePolicy.OnRootMismatch ? 'on-root-mismatch' : 'always',
    },
    shared: wire.shared,
  };
}
