import { guestCapabilities } from './capabilities.js';
import { sensitivePathOf } from './guest-paths.js';

/** A key of the configuration that gives containers one thing while privileged containers are denied. */
type OpeningKey =
  | 'capabilities'
  | 'devices'
  | 'guest_paths'
  | 'network_namespaces'
  | 'share_processes'
  | 'user_namespaces';

interface ReasonRow {
  /** A description of what the request contains. */
  readonly description: string;
  /** The pod settings that cause it; `none` when only a client or host can send it. */
  readonly pods: string;
  readonly opens?: OpeningKey;
}

export type PrivilegedReason =
  | 'capabilities'
  | 'unmasked-paths'
  | 'other-masked-paths'
  | 'kernel-filesystem'
  | 'guest-paths'
  | 'mount-propagation'
  | 'host-namespaces'
  | 'network-namespace'
  | 'user-namespace'
  | 'shared-processes'
  | 'shared-mounts'
  | 'all-devices'
  | 'devices'
  | 'oom-score';

/**
 * The reasons why a container counts as privileged. Names are stable: rules, audit records and tests compare them.
 * Neither of Kata's runtimes sends any of this unless the pod asks for it. Messages list them in this order.
 */
export const privilegedReasons: Readonly<Record<PrivilegedReason, ReasonRow>> = {
  capabilities: {
    description: 'a capability in any of the five sets that container engines do not give by default',
    pods: '`privileged: true`, `capabilities.add`',
    opens: 'capabilities',
  },
  'unmasked-paths': {
    description: 'a path of /proc or /sys that every runtime hides or write-protects is left open',
    pods: '`privileged: true`, `procMount: Unmasked`',
  },
  'other-masked-paths': {
    description:
      'a path that no runtime hides or write-protects is hidden or write-protected: it changes what the container runs or reads',
    pods: 'none',
  },
  'kernel-filesystem': {
    description:
      'proc elsewhere than at /proc or missing there, no tmpfs at /dev, sysfs or cgroups elsewhere or writable, anything else mounted in /proc or /sys',
    pods: '`privileged: true` with some versions of containerd, a volume at /dev, or in /proc or /sys',
  },
  'guest-paths': {
    description: "a bind mount of the guest's own files: its source is outside of Kata's directories",
    pods: '`hostPath` below /dev, /sys or /proc',
    opens: 'guest_paths',
  },
  'mount-propagation': {
    description: 'a mount or the root file system propagates mounts out of the container',
    pods: '`mountPropagation: Bidirectional`',
  },
  'host-namespaces': {
    description:
      'no ipc, uts or mount namespace of its own, or one other than the network that is named by a path',
    pods: '`hostIPC: true`',
  },
  'network-namespace': {
    description: "a network namespace of the guest, by its path, instead of the guest's own",
    pods: 'all peer pods',
    opens: 'network_namespaces',
  },
  'user-namespace': {
    description: 'a user namespace or mappings of ids: the user in rules is not the user of the kernel',
    pods: '`hostUsers: false`',
    opens: 'user_namespaces',
  },
  'shared-processes': {
    description: 'the process namespace of the pod instead of its own (`sandbox_pidns`)',
    pods: '`shareProcessNamespace: true`, `hostPID: true`',
    opens: 'share_processes',
  },
  'shared-mounts': {
    description: 'mounts of another container of the pod (`shared_mounts`)',
    pods: 'none; an annotation of the Go runtime',
  },
  'all-devices': {
    description: 'a device rule that opens more than one device',
    pods: '`privileged: true`',
  },
  devices: {
    description: 'a device other than the usual ones and those that the request attaches, or a CDI device',
    pods: 'devices of a device plug-in, GPUs, `privileged: true`',
    opens: 'devices',
  },
  'oom-score': {
    description: "an OOM score that the kernel's OOM killer spares as it spares the agent (below -998)",
    pods: 'none',
  },
};

/** Returns the key that can give a container what makes it privileged; undefined if only `privileged_containers = "allow"` does. */
export function openingKey(reason: PrivilegedReason, detail: string): OpeningKey | undefined {
  const isGuestItself =
    (reason === 'capabilities' && guestCapabilities.has(detail)) ||
    (reason === 'guest-paths' && sensitivePathOf(detail) !== undefined);
  return isGuestItself ? undefined : privilegedReasons[reason].opens;
}
