/** How much the agent logs. Kata's further words (`warning`, `fatal`, `panic`, `default`) are read as one of these. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'critical';

/** The settings of `[agent]`, complete: what no document and no override sets has its default. */
export interface AgentSettings {
  /** `vsock://CID:PORT`, `unix:///path` or `unix://@abstract`. */
  readonly serverAddr: string;
  readonly logLevel: LogLevel;
  /** vsock port for a copy of the log; 0: off. */
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
  /** vsock port for stdio that does not come through the API (S22); 0: off. */
  readonly passfdListenerPort: number;
  /** Bytes; 0: the kernel's default. */
  readonly containerPipeSize: number;
  readonly unifiedCgroupHierarchy: boolean;
  /** Path of the OCI runtime; undefined: `runc` as found in PATH. */
  readonly ociRuntime: string | undefined;
  /** Whether OCI hooks of a request may run (S10). */
  readonly hooks: 'refuse' | 'allow';
  /** Undefined: `refuse` when there is a document, else `allow`. */
  readonly privilegedContainers: 'refuse' | 'allow' | undefined;
  /** `/dev/NAME` or `c MAJOR:MINOR`. */
  readonly devices: readonly string[];
  /** `/PATH` (read-only) or `rw:/PATH`. */
  readonly guestPaths: readonly string[];
  /** `NAME PARAMETER…`. */
  readonly kernelModules: readonly string[];
  /** `net.core.somaxconn`. */
  readonly sysctls: readonly string[];
  /** Whether the guest's kernel is hardened before the agent listens; undefined: as PID 1. */
  readonly harden: boolean | undefined;
  /** What follows the end of the sandbox; undefined: `power-off` as PID 1, else `exit`. */
  readonly onEnd: 'power-off' | 'exit' | undefined;
  /** Comes later; always undefined now. */
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
  /** `max`: without end. */
  readonly memAgentCompactForceTimes: number | 'max';
  /** No override changes anything in `[agent]`. */
  readonly lock: boolean;
  /** Only these keys can be overridden; undefined: no such list. */
  readonly overridable: readonly string[] | undefined;
}
