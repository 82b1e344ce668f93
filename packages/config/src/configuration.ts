import type { MethodName } from '@kata-agent/catalogue';
import type { AgentSettings } from './agent-settings.js';
import type { Diagnostic, Span } from './diagnostic.js';

/** An entry of an endpoint list as it was written: a method's name, `@group` or `*`. */
export interface ListEntry {
  readonly entry: string;
  readonly span: Span;
}

/** A pair of lists, of `[api]` or of a listener. Groups and `*` are expanded: each method points to its entry. */
export interface EndpointLists {
  /** Absent: no allow-list. Present and empty: nothing is allowed. */
  readonly allowed?: ReadonlyMap<MethodName, ListEntry>;
  readonly blocked?: ReadonlyMap<MethodName, ListEntry>;
}

/** One `[[api.rule]]`, checked. */
export interface Rule {
  /** `[A-Za-z0-9][A-Za-z0-9_.-]*`, unique among all documents. */
  readonly name: string;
  /** The methods it stands for; groups and `*` expanded. */
  readonly methods: ReadonlyMap<MethodName, ListEntry>;
  /** CEL; it must be true for a request to pass. */
  readonly expression: string;
  /** What a refused caller is told. */
  readonly message?: string;
  /** `audit`: what it would refuse is recorded, and passes. */
  readonly enforcement: 'enforce' | 'audit';
  /** For ReadStdout and ReadStderr; absent: what `[api]` says. */
  readonly onDeniedRead?: 'error' | 'eof';
  /** The place of its name. */
  readonly span: Span;
}

/**
 * What one document's `[api]` says. Groups and `*` are expanded: each method that a list covers points to the
 * entry that brought it in. `allowed` absent: no allow-list; present and empty: nothing is allowed.
 *
 * A method whose own name is written stays in its list even if it came after `release`; the release decides first.
 */
export interface ApiDocument extends EndpointLists {
  readonly file: string;
  readonly release?: string;
  /** In the order of the document. */
  readonly rules: readonly Rule[];
  /** What it says of single listeners, by name. */
  readonly listeners: ReadonlyMap<string, EndpointLists>;
}

/** A listener that the agent opens. */
export interface ListenerSettings {
  /** `server_addr` when no document has a `[[listener]]`. */
  readonly name: string;
  readonly address: string;
  /** Who may connect: `host` (CID 2 on vsock; root on a unix socket), `any`, `cid:N`, `uid:N`. */
  readonly peers: readonly string[];
}

/** How further documents come (R8). Only a base document has it. */
export interface DeliverySettings {
  /** In the order in which they are asked and merged. */
  readonly accept: readonly DeliveryName[];
  /** `host_data`, `none`, or `sha256:` and 64 hex digits: the digest of the document. */
  readonly bind: string;
  readonly required: boolean;
  readonly dropInDir: string;
}

export type DeliveryName = 'initdata' | 'fw_cfg' | 'kernel_line' | 'drop_ins';

/** Registers that the configuration's digest is extended into. */
export interface MeasurementSettings {
  readonly tpm: 'off' | 'try' | 'require';
  /** A TPM's register, 0 to 23. */
  readonly pcr: number;
  readonly rtmr: 'off' | 'try' | 'require';
}

export interface ApiSettings {
  /** In the order in which they restrict; empty: no document, everything is served. */
  readonly documents: readonly ApiDocument[];
  readonly strict: boolean;
  readonly onDeniedRead: 'error' | 'eof';
  /** What becomes of output that nobody may read: dropped, or kept in a log of this many bytes in the guest. */
  readonly deniedOutput: 'discard' | number;
}

export interface AuditSettings {
  readonly file: string;
  readonly onFailure: 'refuse-changes' | 'refuse-all';
  /** Bytes of one segment. */
  readonly maxSize: number;
  /** Segments that are kept. */
  readonly keep: number;
  readonly facts: boolean;
}

export interface LimitSettings {
  /** Per listener. */
  readonly connections: number;
  readonly requestsPerConnection: number;
  readonly containers: number;
  readonly execsPerContainer: number;
  readonly requestFields: number;
  /** Bytes. */
  readonly streamBuffer: number;
  readonly frameTimeoutMs: number;
}

/** What a setting can hold; all of it can be written as JSON. */
export type SettingValue = boolean | number | string | readonly string[] | undefined;

export type SectionName = 'agent' | 'api' | 'delivery' | 'measurement' | 'audit' | 'limits';

/** A value that was given for a setting but did not win. */
export interface OtherValue {
  readonly value: SettingValue;
  readonly source: string;
  /** Why it did not win: `weaker than the command line`, `locked by config.toml:7`, … */
  readonly reason: string;
}

/** The value of one row of the settings table, and how it came to be. */
export interface Effective {
  readonly section: SectionName;
  readonly key: string;
  readonly value: SettingValue;
  /** `default`, `config.toml:7`, `command line --log-level`, `environment KATA_AGENT_LOG_LEVEL`, `kernel line agent.log`. */
  readonly source: string;
  /** Where it was written, if a document decided. */
  readonly span?: Span;
  readonly others: readonly OtherValue[];
}

/** An override that the documents forbid. It is recorded in the first audit record of a boot. */
export interface IgnoredOverride {
  readonly key: string;
  readonly value: string;
  readonly source: string;
  readonly reason: string;
}

/** A document that is part of the configuration. */
export interface DocumentRecord {
  readonly file: string;
  /** How it was chosen: `built in`, `-c`, `default path`, `agent.config_file`, or the name of a delivery. */
  readonly source: string;
  /** Of the bytes that were parsed, or of the envelope they came in as it was delivered; lower-case hex. */
  readonly sha256: string;
  /** How a delivered document was bound: `HOSTDATA`, `MRCONFIGID`, `pin`, `none`, `own root` (drop-ins). */
  readonly binding?: string;
}

/** What the agent runs under. Frozen through and through: nothing at run time loosens it (S4). */
export interface Configuration {
  readonly settings: AgentSettings;
  readonly api: ApiSettings;
  readonly audit: AuditSettings;
  readonly limits: LimitSettings;
  readonly measurement: MeasurementSettings;
  /** At least one. */
  readonly listeners: readonly ListenerSettings[];
  /** Empty: no document, the full API is served. */
  readonly documents: readonly DocumentRecord[];
  /** SHA-256 of the ordered list of the documents' digests; lower-case hex. */
  readonly digest: string;
  /** Some method is not served to some listener, or a rule or a listener stands. */
  readonly restricted: boolean;
  /** One for each row of the settings table, in its order. */
  readonly values: readonly Effective[];
  readonly ignoredOverrides: readonly IgnoredOverride[];
  readonly warnings: readonly Diagnostic[];
}

/** The outcome of loading: a configuration, or everything that is wrong. */
export type Loaded =
  | { readonly ok: true; readonly configuration: Configuration }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[]; readonly exitCode: 1 | 3 };

/** The bytes of a document, or why they may not be used. `missing`: nothing is at that path. */
export type DocumentRead =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly missing: boolean; readonly message: string; readonly help: string };

/** Opens, checks and reads a document once (S6). */
export interface DocumentReader {
  read(path: string): DocumentRead;
}

/** A document that came by a delivery. */
export interface DeliveredDocument {
  /** Where it was found, for messages: `initdata (/dev/vdb)`, `/etc/kata-agent/conf.d/10-narrow.toml`. */
  readonly file: string;
  readonly bytes: Uint8Array;
  /** What is hashed and bound: the initdata envelope; for all others the same as `bytes`. */
  readonly envelope: Uint8Array;
  /** The digest that binds the envelope to HOSTDATA or MRCONFIGID; the envelope's own word, else sha-256. */
  readonly algorithm: 'sha-256' | 'sha-384' | 'sha-512';
}

/** What a way of delivery has to offer; no documents: nothing came this way. */
export type DeliveryRead =
  | { readonly ok: true; readonly documents: readonly DeliveredDocument[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** One way by which documents come: the plug-in point of R8. Asked once, before any listener opens. */
export interface DeliverySource {
  readonly name: DeliveryName;
  collect(settings: DeliverySettings): DeliveryRead;
}

/** What the host fixed at launch and the hardware vouches for. */
export type HostData =
  | { readonly ok: true; readonly kind: 'HOSTDATA' | 'MRCONFIGID'; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly message: string; readonly help: string };

/** A fault in a rule's expression. Offsets count UTF-16 units of the expression; `end` is exclusive. */
export interface RuleFault {
  readonly severity: 'error' | 'warning';
  readonly start: number;
  readonly end: number;
  readonly message: string;
  readonly help?: string;
}

/** Checks expressions when a document is loaded: the gate's, since config knows no CEL. */
export interface RuleChecker {
  check(rule: { readonly expression: string; readonly methods: readonly MethodName[] }): readonly RuleFault[];
}

/** Everything that a configuration is made from. */
export interface Inputs {
  /** Overrides from the command line, by TOML key of `[agent]`: `{ log_level: 'debug' }`. */
  readonly flags: Readonly<Record<string, string>>;
  /** The document of `-c FILE`. */
  readonly configFlag?: string;
  /** A document that is part of the bundle; it excludes every other. */
  readonly builtIn?: { readonly name: string; readonly bytes: Uint8Array };
  /** `--require-config`: no document is fatal. */
  readonly requireConfig?: boolean;
  /** The development flag of S6 is on; it is said in a warning. The reader does the relaxing. */
  readonly relaxedPermissions?: boolean;
  /** `--state-dir`: where the audit log is unless a document says so. */
  readonly stateDirectory?: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The text of /proc/cmdline. */
  readonly kernelLine?: string;
  /** /etc/kata-agent/config.toml; undefined: no default path is looked at. */
  readonly defaultPath?: string;
  readonly files: DocumentReader;
  /** Asked for once, and only when a document has a rule: loading CEL takes time. */
  readonly rules: () => Promise<RuleChecker>;
  /** A way that a document accepts and that is not here is fatal. */
  readonly delivery: readonly DeliverySource[];
  /** Asked only when a document is bound by it. */
  readonly hostData: () => HostData;
  /** The methods whose handlers the bundle contains; undefined: all (R13). */
  readonly handlers?: ReadonlySet<MethodName>;
  /**
   * The reading of files on another machine, never an agent's own: what `[delivery]` asks for is not waited for, and
   * `later` stands for it, unbound. `sense`: what sets are that make no sense; in a check they are errors (R9).
   */
  readonly offline?: {
    readonly later: readonly { readonly file: string; readonly bytes: Uint8Array }[];
    readonly sense: 'error' | 'warning';
  };
}
