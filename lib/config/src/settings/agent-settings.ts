/** Log level of the agent. Kata's additional names (`warning`, `fatal`, `panic`, `default`) are synonyms. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'critical';

/** The settings of `[agent]`, completed with defaults. */
export interface AgentSettings {
  /** `vsock://CID:PORT`, `unix:///path` or `unix://@abstract`. */
  readonly serverAddr: string;
  readonly logLevel: LogLevel;
  /** vsock port for a copy of the agent log; 0: off. */
  readonly logVport: number;
  readonly debugConsole: boolean;
  /** vsock port of the debug console; 0: the console's own terminal. */
  readonly debugConsoleVport: number;
  readonly devMode: boolean;
  readonly tracing: boolean;
  /** Seconds. */
  readonly hotplugTimeout: number;
  /** Seconds. */
  readonly cdhApiTimeout: number;
  /** Seconds. */
  readonly imagePullTimeout: number;
  /** Seconds. */
  readonly cdiTimeout: number;
  /** Seconds. */
  readonly launchProcessTimeout: number;
  readonly visibleCdiDevices: boolean;
  /** vsock port for stdio outside the API (S22); 0: off. */
  readonly passfdListenerPort: number;
  /** Bytes; 0: the kernel's default. */
  readonly containerPipeSize: number;
  readonly unifiedCgroupHierarchy: boolean;
  /** Path of the OCI runtime; undefined: `runc` in PATH, else `crun`. */
  readonly ociRuntime: string | undefined;
  /** Which OCI hooks may run: none, those of the guest's CDI specifications, or also those of a request (S10). */
  readonly hooks: 'refuse' | 'cdi' | 'allow';
  /** Undefined: `refuse` when there is a document, otherwise `allow`. */
  readonly privilegedContainers: 'refuse' | 'allow' | undefined;
  /** `/dev/NAME` or `c MAJOR:MINOR`. */
  readonly devices: readonly string[];
  /** `/PATH` (read-only) or `rw:/PATH`. */
  readonly guestPaths: readonly string[];
  /** `/run/netns/podns`. */
  readonly networkNamespaces: readonly string[];
  /** `CAP_NET_ADMIN`. */
  readonly capabilities: readonly string[];
  /** Whether containers may have the process namespace of the pod. */
  readonly shareProcesses: boolean;
  /** Whether containers may have user namespaces. */
  readonly userNamespaces: boolean;
  /** `NAME PARAMETER…`. */
  readonly kernelModules: readonly string[];
  /** `net.core.somaxconn`. */
  readonly sysctls: readonly string[];
  /** Names of hosts files, each with its addresses; `*`: any. */
  readonly hostAliases: Readonly<Record<string, readonly string[]>>;
  /** `CONTAINER=MOUNT POINT`. */
  readonly nosymfollow: readonly string[];
  /** `CONTAINER=MOUNT POINT`. */
  readonly imageVolumes: readonly string[];
  /** `NAME=sha256:HEX`. */
  readonly extensions: readonly string[];
  /** Whether to harden the guest's kernel before the agent listens; undefined: when it is PID 1. */
  readonly harden: boolean | undefined;
  /** The earliest time of the guest's clock, in milliseconds since 1970; undefined: that of the build. */
  readonly clockFloor: number | undefined;
  /** What to do after the sandbox has ended; undefined: `power-off` as PID 1, otherwise `exit`. */
  readonly onEnd: 'power-off' | 'exit' | undefined;
  /** Not built yet; always undefined. */
  readonly forward: string | undefined;
  readonly httpsProxy: string | undefined;
  readonly noProxy: string | undefined;
  readonly guestComponentsRestApi: 'all' | 'attestation' | 'resource';
  readonly guestComponentsProcs: 'none' | 'attestation-agent' | 'confidential-data-hub' | 'api-server-rest';
  readonly secureStorageIntegrity: boolean;
  readonly policyFile: string | undefined;
  readonly memAgentEnable: boolean;
  readonly memAgentMemcgDisable: boolean;
  readonly memAgentMemcgSwap: boolean;
  readonly memAgentMemcgSwappinessMax: number;
  /** Seconds. */
  readonly memAgentMemcgPeriodSecs: number;
  /** Percent. */
  readonly memAgentMemcgPeriodPsiPercentLimit: number;
  /** Percent. */
  readonly memAgentMemcgEvictionPsiPercentLimit: number;
  readonly memAgentMemcgEvictionRunAgingCountMin: number;
  readonly memAgentCompactDisable: boolean;
  /** Seconds. */
  readonly memAgentCompactPeriodSecs: number;
  /** Percent. */
  readonly memAgentCompactPeriodPsiPercentLimit: number;
  /** Percent. */
  readonly memAgentCompactPsiPercentLimit: number;
  /** Seconds. */
  readonly memAgentCompactSecMax: number;
  readonly memAgentCompactOrder: number;
  readonly memAgentCompactThreshold: number;
  /** `max`: no limit. */
  readonly memAgentCompactForceTimes: number | 'max';
  /** No override changes a key of `[agent]`. */
  readonly lock: boolean;
  /** Only these keys can be overridden; undefined: no such list. */
  readonly overridable: readonly string[] | undefined;
}
