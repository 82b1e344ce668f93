import type { PrivilegedReason } from './privileged-reasons.js';

/**
 * What is always recorded of a request that creates or changes something: names, paths and addresses, never contents,
 * options or values of the environment (S18). Absent parts are omitted.
 */
export interface RequestSummary extends NetworkSummary {
  /** The image that the host claims for the container. */
  readonly image?: string;
  /** `uid:gid`. */
  readonly user?: string;
  /** Capabilities beyond the defaults of container engines. */
  readonly capabilities?: readonly string[];
  /** The types of the namespaces, with the path of each that is joined. */
  readonly namespaces?: readonly string[];
  readonly mounts?: readonly {
    readonly type: string;
    readonly source: string;
    readonly destination: string;
  }[];
  readonly storages?: readonly {
    readonly driver: string;
    readonly source: string;
    readonly mountPoint: string;
  }[];
  readonly sharedMounts?: readonly { readonly source: string; readonly destination: string }[];
  readonly devices?: readonly { readonly type: string; readonly path: string }[];
  /** Why the container or exec counts as privileged. */
  readonly privileges?: readonly PrivilegedReason[];
  readonly kernelModules?: readonly string[];
  /** The file, directory or link that CopyFile writes, or a piece of it. Numbers are text. */
  readonly file?: FileSummary;
  /** The requested time of the guest's clock, as RFC 3339 in UTC. */
  readonly time?: string;
  /** The peer that RevokePeer revokes, as in `peers`. */
  readonly revoked?: string;
}

/** `mode` is octal, with the type: `100644`. `offset` is absent for a first piece. */
interface FileSummary {
  readonly path: string;
  readonly mode: string;
  /** Bytes of the whole file, of a link's target; of a directory 0. */
  readonly size: string;
  /** `uid:gid`. */
  readonly owner: string;
  readonly offset?: string;
}

/**
 * The summary of a change of the pod's network: the whole request, but of a packet filter only its digest.
 */
export interface NetworkSummary {
  readonly interface?: {
    readonly name: string;
    readonly device: string;
    readonly hardwareAddress: string;
    readonly mtu: string;
    readonly addresses: readonly string[];
  };
  readonly routes?: readonly {
    readonly destination: string;
    readonly gateway: string;
    readonly device: string;
    readonly source: string;
  }[];
  readonly neighbours?: readonly {
    readonly address: string;
    readonly device: string;
    readonly hardwareAddress: string;
  }[];
  readonly packetFilter?: { readonly family: string; readonly bytes: string; readonly sha256: string };
}

/**
 * What is recorded of a request when `[audit] facts` is on, to learn a configuration from. Names and kinds, never
 * values: the first word of a command, the names of the environment, the path of a file (S18).
 */
export interface RequestFacts {
  /** The program: argv[0]. */
  readonly command?: string;
  /** All of argv, program included. Arguments may contain secrets; enabling facts records them. */
  readonly arguments?: readonly string[];
  /** Names of environment variables, sorted. */
  readonly environment?: readonly string[];
  readonly cwd?: string;
  /** `uid:gid`. */
  readonly user?: string;
  readonly terminal?: boolean;
  /** Every capability in any of the five sets, sorted. */
  readonly capabilities?: readonly string[];
  readonly mounts?: readonly {
    readonly type: string;
    readonly source: string;
    readonly destination: string;
  }[];
  readonly storages?: readonly {
    readonly driver: string;
    readonly type: string;
    readonly mountPoint: string;
  }[];
  readonly devices?: readonly { readonly type: string; readonly path: string }[];
  /** The image that the host claims for the container. */
  readonly image?: string;
  /** Of CopyFile. */
  readonly path?: string;
  readonly signal?: number;
}
