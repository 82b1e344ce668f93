import type { Syscalls, ThreadNamespace } from '@kata-agent/linux';
import { GuestError } from '../error/guest-error.js';
import { namespaceOf } from '../spec/sysctls.js';
import type { PinnedNamespaces } from './pinned-namespaces.js';
import type { SysctlNamespaces } from './sysctl-changes.js';

/**
 * Returns a container's IPC and UTS namespaces, for sysctls that `namespaceOf` knows. The OCI runtime does not get
 * these: it would write them below the container's /proc, among mounts that other parties may control. A thread of the
 * agent writes them in its own /proc, in the namespaces of the container's first process, before any code of the
 * container runs.
 */
export function namespacesOf(syscalls: Syscalls, pinned: PinnedNamespaces): SysctlNamespaces {
  return {
    identity: (sysctl) => pinned.identity(typeOf(sysctl)),
    within: (sysctl, task) => {
      const type = typeOf(sysctl);
      if (!pinned.visit(syscalls, type, task))
        throw new GuestError(
          'invalid',
          `sysctl ${sysctl} would be the guest's: the container has no ${type} namespace of its own`,
        );
    },
  };
}

function typeOf(sysctl: string): ThreadNamespace {
  const type = namespaceOf(sysctl);
  if (type === undefined) throw new Error(`sysctl ${sysctl} is of no namespace of a container`);
  return type;
}
