import type { NamedMount } from '../container/refuse-links.js';
import type { HookSetting } from '../guest-hooks.js';
import type { Syscalls } from '@kata-agent/linux';
import type { CdiOptions } from '../cdi/cdi-devices.js';
import type { NamesOf } from '../container/share-mounts.js';
import type { GuestLog } from '../guest-log.js';
import type { OutputPolicy, StreamLimits } from '../stdio/prepare-streams.js';
import type { HostAliases } from '../content/checked-files.js';
import type { DataHub } from '../confidential/data-hub.js';
import type { PermittedSecret } from '../confidential/secret-permits.js';
import type { ImagePuller } from '../image/image-puller.js';
import type { HostMedia } from '../media/host-media.js';
import type { GuestAccess } from '../guest-access.js';
import type { SandboxClaim } from '../sandbox/claim-sandbox.js';
import type { GuestPaths } from '../paths/guest-paths.js';

export interface GuestOptions {
  readonly syscalls: Syscalls;
  /** Runs what may wait for the host. Default: threads. */
  readonly media?: HostMedia | undefined;
  readonly paths?: Partial<GuestPaths> | undefined;
  /** Absent: no other agent shares Kata's directory. */
  readonly claim?: SandboxClaim | undefined;
  /** Path of the OCI runtime (runc). Undefined: container calls fail with `precondition`, naming what to install. */
  readonly runtime: string | undefined;
  /** systemd is the guest's init. Under cgroup v2 it then creates the cgroups of paths in its form. Default: false. */
  readonly systemd?: boolean | undefined;
  /** Bytes of each stdio pipe, the setting `container_pipe_size`; 0: the kernel's default. */
  readonly pipeSize?: number | undefined;
  /** How long a device may take to appear, in seconds: the setting `hotplug_timeout`. Default: 3. */
  readonly hotplugTimeout?: number | undefined;
  /** Default: specifications in `/etc/cdi` and `/var/run/cdi`, 100 seconds, annotations only. */
  readonly cdi?: Partial<CdiOptions> | undefined;
  readonly limits?: Partial<GuestLimits> | undefined;
  /** OCI hooks and `guest_hook_path` (S10). Default: refuse. */
  readonly hooks?: HookSetting | undefined;
  /** How to read the names of containers. Default: containers have ids only. */
  readonly namesOf?: NamesOf | undefined;
  /** The access that containers may have to the guest. Default: that of an agent without a configuration. */
  readonly access?: GuestAccess | undefined;
  /** The time before which the clock is never set, in milliseconds since 1970. Default: any time is set. */
  readonly clockFloor?: number | undefined;
  /** Absent: there is none, and sealed secrets stay sealed, as with Kata's agent. */
  readonly dataHub?: DataHub | undefined;
  /** The only places where sealed secrets are unsealed. Absent: there is no configuration, and all are, as with Kata's agent. */
  readonly secrets?: readonly PermittedSecret[] | undefined;
  /**
   * Names that hosts files may have beside localhost's and the pod's. Absent: there is no configuration, and what is mounted at
   * /etc/hosts, /etc/resolv.conf and /etc/hostname is not checked, as with Kata's agent.
   */
  readonly hostAliases?: HostAliases | undefined;
  /** Mounts of containers in which no symbolic link is followed. Default: none. */
  readonly mountsWithoutLinks?: readonly NamedMount[] | undefined;
  /** Mounts of containers that the guest fills from their roots, whatever their sources have. Default: none. */
  readonly imageVolumes?: readonly NamedMount[] | undefined;
  /** Whether the id of a removed container is given to no other one of its sandbox (S38). Default: it can be, as with Kata's agent. */
  readonly idsOnce?: boolean | undefined;
  /** Absent: the guest pulls no images. */
  readonly images?: ImagePuller | undefined;
  /** Whether each root but the pause container's consists of verified layers, all others being refused. Default: no. */
  readonly verifiedLayers?: boolean | undefined;
  /** The directory with the bundle of the pause container. Default: `/pause_bundle`. */
  readonly pauseBundle?: string | undefined;
  readonly output?: OutputPolicy | undefined;
  readonly log?: GuestLog | undefined;
}

export interface GuestLimits extends StreamLimits {
  readonly containers: number;
  readonly execsPerContainer: number;
}
