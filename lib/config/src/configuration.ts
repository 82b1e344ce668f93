import type { MethodName } from '@kata-agent/catalogue';
import type { Constant, ConstantType } from '@kata-agent/catalogue/profiles';
import type { DeliverySource, DocumentReader, HostData, LoadedDocument, LoadedInitdata } from './delivery.js';
import type { ImageConfiguration, ImageSignatures } from './image.js';
import type { ListenerSettings, NamedFile } from './listener.js';
import type { AgentSettings } from './settings/agent-settings.js';
import type { Diagnostic, Span } from './diagnostics/diagnostic.js';

/** An entry of an endpoint list as written: a method's name, `@group` or `*`. */
export interface ListEntry {
  readonly entry: string;
  readonly span: Span;
}

/** The lists of `[api]` or of a listener. Groups and `*` are expanded: each method maps to its entry. */
export interface EndpointLists {
  /** Absent: no allow-list. Empty: nothing is allowed. */
  readonly allowed?: ReadonlyMap<MethodName, ListEntry>;
  readonly blocked?: ReadonlyMap<MethodName, ListEntry>;
}

/** A checked `[[api.rule]]`. */
export interface Rule {
  /** `[A-Za-z0-9][A-Za-z0-9_.-]*`, unique over all documents. */
  readonly name: string;
  /** The methods it applies to; groups and `*` are expanded. */
  readonly methods: ReadonlyMap<MethodName, ListEntry>;
  /** A CEL expression that must be true for a request to be allowed. */
  readonly expression: string;
  /** The expression as compiled by the checker, so that it is compiled only once; absent when it was not checked. */
  readonly checked?: CheckedExpression;
  /** The message for a denied peer. */
  readonly message?: string;
  /** `audit`: requests that it would deny are recorded and allowed. */
  readonly enforcement: 'enforce' | 'audit';
  /** Where it uses the state of the guest, as errors, which they are with `[agent] forward`; absent: nowhere. */
  readonly needsGuest?: readonly Diagnostic[];
  /** For ReadStdout and ReadStderr; absent: as in `[api]`. */
  readonly onDeniedRead?: 'error' | 'eof';
  /** The position of its name. */
  readonly span: Span;
  /** The profile that it is of; absent: the document has it. A rule of a profile is compiled at the first call of its method. */
  readonly profile?: { readonly name: string; readonly values: RuleValues };
}

/** The constants of a document, as `values` in the rules of its profile. */
export interface RuleValues {
  readonly type: { readonly record: Readonly<Record<string, ConstantType>> };
  readonly value: { readonly [name: string]: Constant };
}

/**
 * One document's `[api]`. Groups and `*` are expanded: each covered method maps to the entry that covers it. `allowed`
 * absent: no allow-list; empty: nothing is allowed.
 *
 * A method listed by its own name is in the list even if it is newer than `release`; the release is checked first.
 */
export interface ApiDocument extends EndpointLists {
  readonly file: string;
  readonly release?: string;
  /** In document order. */
  readonly rules: readonly Rule[];
  /** Lists of single listeners, by name. */
  readonly listeners: ReadonlyMap<string, EndpointLists>;
}

/** Registers into which the configuration's digest is extended. */
export interface MeasurementSettings {
  readonly tpm: 'off' | 'try' | 'require';
  /** A TPM register, 0 to 23. */
  readonly pcr: number;
  /** The register for checkpoints of the audit log, 0 to 15. */
  readonly checkpointPcr: 'off' | number;
  readonly rtmr: 'off' | 'try' | 'require';
}

/** A source of evidence: reports of SNP and TDX, quotes of TDX by the attestation agent, or quotes of a TPM. */
export type EvidenceSource = 'configfs-tsm' | 'attestation-agent' | 'tpm';

/** What signs the claims of the agent. */
export interface EvidenceSettings {
  /** Empty: there is no evidence. */
  readonly sources: readonly EvidenceSource[];
  /** Those without which the agent does not start. */
  readonly require: readonly EvidenceSource[];
  /** The NV index of the TPM that has the certificates of its attestation key. */
  readonly akCertificate: 'off' | number;
}

export interface ApiSettings {
  /** In the order of restriction; empty: no document, everything is served. */
  readonly documents: readonly ApiDocument[];
  readonly strict: boolean;
  /** For listeners that have no value of their own. */
  readonly onDeniedRead: 'error' | 'eof';
  /** What happens to output that no peer may read: discarded, or kept in a log of this many bytes in the guest. */
  readonly deniedOutput: 'discard' | number;
}

export interface AuditSettings {
  readonly file: string;
  readonly onFailure: 'refuse-changes' | 'refuse-all';
  /** Bytes per segment. */
  readonly maxSize: number;
  /** Number of segments kept. */
  readonly keep: number;
  readonly facts: boolean;
  readonly checkpointEveryMs: number;
  readonly heartbeatMs: number;
  readonly witnessQuorum: number;
  /** `off`: calls do not depend on witnesses. */
  readonly requiredWithin: number | 'off';
}

export interface LimitSettings {
  /** Per listener, for those that have no value of their own. */
  readonly connections: number;
  readonly requestsPerConnection: number;
  readonly containers: number;
  readonly execsPerContainer: number;
  readonly requestFields: number;
  /** Bytes. */
  readonly streamBuffer: number;
  readonly frameTimeoutMs: number;
}

/** The value of a setting; serializable as JSON. */
export type SettingValue =
  | boolean
  | number
  | string
  | readonly string[]
  | readonly ImageSignatures[]
  | Readonly<Record<string, string>>
  | Readonly<Record<string, readonly string[]>>
  | undefined;

export type SectionName =
  | 'agent'
  | 'api'
  | 'delivery'
  | 'measurement'
  | 'image'
  | 'evidence'
  | 'audit'
  | 'limits';

/** A value of a setting that was not used. */
export interface OtherValue {
  readonly value: SettingValue;
  readonly source: string;
  /** Why it was not used: `weaker than the command line`, `locked by config.toml:7`, … */
  readonly reason: string;
}

/** The effective value of a setting, and where it comes from. */
export interface Effective {
  readonly section: SectionName;
  readonly key: string;
  readonly value: SettingValue;
  /** `default`, `config.toml:7`, `command line --log-level`, `environment KATA_AGENT_LOG_LEVEL`, `kernel command line agent.log`. */
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

/** The effective configuration of the agent. Deeply frozen: nothing loosens it at run time (S4). */
export interface Configuration {
  readonly settings: AgentSettings;
  readonly api: ApiSettings;
  readonly audit: AuditSettings;
  /** Those that are asked to cosign checkpoints of the audit log. */
  readonly witnesses: readonly WitnessSettings[];
  /** The places where sealed secrets are unsealed. Without a document: everywhere. */
  readonly secrets: readonly SecretSettings[];
  readonly limits: LimitSettings;
  readonly measurement: MeasurementSettings;
  readonly evidence: EvidenceSettings;
  readonly image: ImageConfiguration;
  /** At least one. */
  readonly listeners: readonly ListenerSettings[];
  /** Empty: no document; only `policy.rego` of initdata can restrict the API. */
  readonly documents: readonly LoadedDocument[];
  /** Sorted by key. */
  readonly files: readonly NamedFile[];
  /**
   * SHA-256 of the ordered list of digests, of the documents and then of the files that they name; without a document, of
   * initdata's. Lower-case hex.
   */
  readonly digest: string;
  /** Absent when there is no initdata device. */
  readonly initdata?: LoadedInitdata;
  /** The texts of initdata that are applied or kept, by file name; the envelope itself is `initdata.toml`. */
  readonly initdataTexts: ReadonlyMap<string, string>;
  /** Some method is not served on some listener, or there is a rule or a listener. */
  readonly restricted: boolean;
  /** One per row of the settings table, in its order. */
  readonly values: readonly Effective[];
  readonly ignoredOverrides: readonly IgnoredOverride[];
  readonly warnings: readonly Diagnostic[];
}

/** The result of loading: a configuration, or all errors. */
export type Loaded =
  | { readonly ok: true; readonly configuration: Configuration }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[]; readonly exitCode: 1 | 3 };

/** A fault in a rule's expression. Offsets count UTF-16 units of the expression; `end` is exclusive. */
export interface RuleFault {
  readonly severity: 'error' | 'warning';
  readonly code: Diagnostic['code'];
  readonly start: number;
  readonly end: number;
  readonly message: string;
  readonly help?: string;
}

/** An expression compiled by a checker. Other members are for the rule compiler. */
export interface CheckedExpression {
  readonly faults: readonly RuleFault[];
  /** Its uses of the state of the guest, as faults, which they are where there is no guest (`[agent] forward`). */
  readonly needsGuest: readonly RuleFault[];
}

/** Checks expressions when a document is loaded. Implemented by the gate, since config does not know CEL. */
export interface RuleChecker {
  check(rule: {
    readonly expression: string;
    readonly methods: readonly MethodName[];
    readonly values?: RuleValues;
  }): CheckedExpression;
  /** Returns the fault of a regular expression for `matches()`; undefined: it has none. */
  patternFault(pattern: string): string | undefined;
}

/** Everything that a configuration is built from. */
export interface Inputs {
  /** Overrides from the command line, by TOML key of `[agent]`: `{ log_level: 'debug' }`. */
  readonly flags: Readonly<Record<string, string>>;
  /** The document of `-c FILE`. */
  readonly configFlag?: string;
  /** A document that is part of the bundle; it excludes every other. */
  readonly builtIn?: { readonly name: string; readonly bytes: Uint8Array };
  /** `--require-config`: a missing document is fatal. */
  readonly requireConfig?: boolean;
  /** The development flag of S6 is set, which gives a warning. The reader relaxes the checks. */
  readonly relaxedPermissions?: boolean;
  /** `--state-dir`: where the audit log is by default. */
  readonly stateDirectory?: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The text of /proc/cmdline. */
  readonly kernelCommandLine?: string;
  /** /etc/kata-agent/config.toml; undefined to use no default path. */
  readonly defaultPath?: string;
  readonly files: DocumentReader;
  /** Called at most once, when a document contains a rule: loading CEL takes time. */
  readonly rules: () => Promise<RuleChecker>;
  /** A source that a document accepts but that is missing here is fatal. `initdata` is read whether accepted or not. */
  readonly delivery: readonly DeliverySource[];
  /** Called only when a document is bound by it. */
  readonly hostData: () => HostData;
  /** The methods whose handlers the bundle contains; undefined: all (R13). */
  readonly handlers?: ReadonlySet<MethodName>;
  /**
   * For checks on another machine, never for a running agent: `[delivery]` is not waited for, and `later` replaces it,
   * unbound. `sense`: the severity of inconsistent sets, which are errors in a check (R9).
   */
  readonly offline?: {
    readonly later: readonly { readonly file: string; readonly bytes: Uint8Array }[];
    /** Reads files of the guest that a document names; undefined: they are not read, with a warning. */
    readonly files?: DocumentReader;
    readonly sense: 'error' | 'warning';
  };
}

/** A place of a container where the agent unseals a sealed secret, and which secrets it may be. */
export interface SecretSettings {
  /** The name of the container in the pod. */
  readonly container: string;
  readonly place: SecretPlace;
  /** What the sealed secret must name; absent: `sha256` alone decides. */
  readonly resource?: string;
  /** SHA-256 of the sealed text in lower-case hex; absent: any sealed secret that names the resource. */
  readonly sha256?: string;
}

export type SecretPlace =
  /** A variable of the environment of the first process. */
  | { readonly kind: 'env'; readonly name: string }
  /** A file, by its absolute path in the container. */
  | { readonly kind: 'file'; readonly path: string };

/** A witness that is asked to cosign the checkpoints of the audit log. */
export interface WitnessSettings {
  /** The name of its key. */
  readonly name: string;
  /** A verifier key of C2SP signed-note, for cosignatures. */
  readonly key: string;
  readonly via: WitnessPlace;
}

/** Where a witness is asked: `add-checkpoint` is added to the path. */
export type WitnessPlace =
  /** At the address that this listener dials, as its server is dialled. */
  | { readonly kind: 'listener'; readonly name: string }
  /** At an `https://` address, whose server has a certificate of `ca`, a PEM text. It gets no certificate of the agent. */
  | { readonly kind: 'url'; readonly url: string; readonly ca: string };
