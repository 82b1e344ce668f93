/** A key of the configuration that opens a single thing while privileged containers are refused. */
type OpeningKey = 'devices' | 'guest_paths';

interface ReasonRow {
  /** What the request has, for people. */
  readonly says: string;
  /** Where in a pod it comes from; what no pod has is a client's or a host's own. */
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
  | 'user-namespace'
  | 'shared-processes'
  | 'shared-mounts'
  | 'all-devices'
  | 'devices'
  | 'oom-score';

/**
 * Why a container counts as privileged. Names are stable: rules, records and tests compare them. Neither of Kata's
 * runtimes sends any of this for a pod that does not ask for it. Messages name them in this order.
 */
export const privilegedReasons: Readonly<Record<PrivilegedReason, ReasonRow>> = {
  capabilities: {
    says: 'a capability in any of the five sets that container engines do not give by default',
    pods: '`privileged: true`, `capabilities.add`',
  },
  'unmasked-paths': {
    says: 'a path of /proc or /sys that every runtime hides or write-protects is left open',
    pods: '`privileged: true`, `procMount: Unmasked`',
  },
  'other-masked-paths': {
    says: 'a path is hidden or write-protected that no runtime names: it changes what the container runs or reads',
    pods: 'none',
  },
  'kernel-filesystem': {
    says: 'proc elsewhere than at /proc or missing there, no tmpfs at /dev, sysfs or cgroups elsewhere or writable',
    pods: '`privileged: true` with some versions of containerd, a volume at /dev',
  },
  'guest-paths': {
    says: "a bind mount of the guest's own files: its source is outside of Kata's directories",
    pods: '`hostPath` below /dev, /sys or /proc',
    opens: 'guest_paths',
  },
  'mount-propagation': {
    says: 'a mount or the root file system propagates mounts out of the container',
    pods: '`mountPropagation: Bidirectional`',
  },
  'host-namespaces': {
    says: 'no ipc, uts or mount namespace of its own, or one named by a path',
    pods: '`hostIPC: true`',
  },
  'user-namespace': {
    says: 'a user namespace or mappings of ids: the user that rules see is not the one that the kernel knows',
    pods: '`hostUsers: false`',
  },
  'shared-processes': {
    says: 'the process namespace of the pod instead of its own (`sandbox_pidns`)',
    pods: '`shareProcessNamespace: true`',
  },
  'shared-mounts': {
    says: 'mounts of another container of the pod (`shared_mounts`)',
    pods: 'none; an annotation of the Go runtime',
  },
  'all-devices': {
    says: 'a device rule that opens more than one device',
    pods: '`privileged: true`',
  },
  devices: {
    says: 'a device beside the usual ones and the disks that the request attaches',
    pods: 'devices of a device plug-in, `privileged: true`',
    opens: 'devices',
  },
  'oom-score': {
    says: "an OOM score that the kernel's OOM killer spares as it spares the agent (below -998)",
    pods: 'none',
  },
};

/** One reason, with what of the request gives it: `CAP_SYS_ADMIN`. */
export interface Privilege {
  readonly reason: PrivilegedReason;
  readonly detail: string;
}
