import type { MethodName } from '@kata-agent/catalogue';
import type { ListenerSettings, NamedFile } from './listener/listener.js';
import type { WitnessSettings } from './witness/witness.js';
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

/** How further documents are delivered (R8). Set in a base document only. */
export interface DeliverySettings {
  /** The accepted sources, in the order in which they are read and merged. */
  readonly accept: readonly DeliveryName[];
  /** `host_data`, `none`, or `sha256:` and 64 hex digits: the digest of the document. */
  readonly bind: string;
  readonly required: boolean;
  readonly dropInDir: string;
  /** What happens to initdata that cannot be applied: the agent does not start, or it is recorded and ignored. */
  readonly unusedInitdata: 'refuse' | 'record';
  /** Keys of listeners that the base document leaves to a bound document: `listener.tenant.peers`. */
  readonly maySet: readonly string[];
}

export type DeliveryName = 'initdata' | 'fw_cfg' | 'kernel_line' | 'drop_ins';

/** Registers into which the configuration's digest is extended. */
export interface MeasurementSettings {
  readonly tpm: 'off' | 'try' | 'require';
  /** A TPM register, 0 to 23. */
  readonly pcr: number;
  /** The register for checkpoints of the audit log, 0 to 15. */
  readonly checkpointPcr: 'off' | number;
  readonly rtmr: 'off' | 'try' | 'require';
}

/** Images of a scope need a signature by one of the keys, in one of the formats. */
export interface ImageSignatures {
  /** A pattern of repositories. */
  readonly scope: string;
  /** Public keys in PEM. In a document: a path, or the text. */
  readonly keys: readonly string[];
  readonly formats: readonly string[];
}

/** Images of containers that the guest gets itself (R18). All but `puller` is for the built-in puller. */
export interface ImageSettings {
  readonly puller: 'none' | 'cdh' | 'built-in';
  /** Patterns of repositories; undefined: each. */
  readonly registries: readonly string[] | undefined;
  /** Certificates in PEM, in a document a path or the text; undefined: the public CAs. */
  readonly registryCa: string | undefined;
  /** A path, or `kbs:///…`; undefined: pulls are anonymous. */
  readonly credentials: string | undefined;
  readonly insecureStaticCredentials: boolean;
  /** By registry: the other hosts that issue its tokens. */
  readonly tokenHosts: Readonly<Record<string, readonly string[]>>;
  /** Where a registry, or a part of its repositories, is read first. */
  readonly mirrors: Readonly<Record<string, string>>;
  /** `http://HOST:PORT`; undefined: registries are reached directly. */
  readonly proxy: string | undefined;
  readonly requireDigest: boolean;
  /** Undefined: images need no signature. */
  readonly signatures: readonly ImageSignatures[] | undefined;
  /** Bytes of an image: of its blobs, and unpacked. */
  readonly maxSize: number;
  /** `kbs:///…`; undefined: encrypted layers are refused. */
  readonly decryptionKeys: string | undefined;
  readonly store: 'memory' | 'encrypted-disk';
  readonly layers: 'pulled' | 'verified';
}

/** `[image]` of all documents, with the texts of the files that it names. */
export interface ImageConfiguration extends Omit<ImageSettings, 'registries' | 'signatures'> {
  /** One list of patterns for each document that has one: an image must match in each. */
  readonly registries: readonly (readonly string[])[];
  /** Of the first document that has signatures: an image that no scope matches is refused. Undefined: of none. */
  readonly signatures: readonly ImageSignatures[] | undefined;
  /** Of further documents: what images of their scopes need besides. */
  readonly addedSignatures: readonly ImageSignatures[];
  /** Lists of scopes: an image must match in each, also if it needs no signature of `addedSignatures`. */
  readonly signatureScopes: readonly (readonly string[])[];
  /** The content of the file that `credentials` names; undefined: it names none. */
  readonly staticCredentials: string | undefined;
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

/** A document that is part of the configuration. */
export interface LoadedDocument {
  readonly file: string;
  /** How it was chosen: `built in`, `-c`, `default path`, `agent.config_file`, or the name of a delivery source. */
  readonly source: string;
  /** SHA-256 of the parsed bytes, or of the envelope as delivered; lower-case hex. */
  readonly sha256: string;
  /** How a delivered document was bound: `HOSTDATA`, `MRCONFIGID`, `pin`, `none`, `own root` (drop-ins). */
  readonly binding?: string;
}

/** What became of a file of an initdata envelope. */
export interface InitdataFile {
  /** Its key in `[data]`; of an unknown file at most 128 characters. */
  readonly name: string;
  /** `applied`: part of the configuration. `kept`: written for the guest components. */
  readonly outcome: 'applied' | 'kept' | 'ignored';
  /** Why it was ignored. */
  readonly reason?: string;
}

/** The initdata of this guest, and what became of each of its files. */
export interface LoadedInitdata {
  /** `initdata (/dev/vdb)` */
  readonly file: string;
  /** SHA-256 of the envelope as delivered, in lower-case hex. */
  readonly sha256: string;
  /** As in `LoadedDocument`; absent when the base document does not accept initdata. */
  readonly binding?: string;
  /** In the order of the envelope. */
  readonly files: readonly InitdataFile[];
  /** The number of unknown files beyond those that are listed. */
  readonly unlisted?: number;
}

/** The effective configuration of the agent. Deeply frozen: nothing loosens it at run time (S4). */
export interface Configuration {
  readonly settings: AgentSettings;
  readonly api: ApiSettings;
  readonly audit: AuditSettings;
  /** Those that are asked to cosign checkpoints of the audit log. */
  readonly witnesses: readonly WitnessSettings[];
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

/** The bytes of a document, or why it is rejected. `missing`: the path does not exist. */
export type DocumentRead =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | {
      readonly ok: false;
      readonly missing: boolean;
      readonly code: Diagnostic['code'];
      readonly message: string;
      readonly help: string;
    };

/** Opens, checks and reads a document once (S6). */
export interface DocumentReader {
  read(path: string): DocumentRead;
}

/** A document from a delivery source. */
export interface DeliveredDocument {
  /** Where it was found, for messages: `/etc/kata-agent/conf.d/10-narrow.toml`. */
  readonly file: string;
  readonly bytes: Uint8Array;
  /** The bytes that are hashed and bound: the initdata envelope; for other sources the same as `bytes`. */
  readonly envelope: Uint8Array;
  /**
   * The digest that binds the envelope to HOSTDATA or MRCONFIGID: the algorithm named in the envelope, otherwise
   * sha-256.
   */
  readonly algorithm: 'sha-256' | 'sha-384' | 'sha-512';
}

/** An initdata envelope from a block device (Confidential Containers, kbs/docs/initdata.md). */
export interface InitdataEnvelope extends Pick<DeliveredDocument, 'envelope' | 'algorithm'> {
  /** `initdata (/dev/vdb)` */
  readonly file: string;
  /** The texts in `[data]`, by their keys. */
  readonly files: ReadonlyMap<string, string>;
}

/** The result of reading a delivery source; empty when it has nothing. */
export type DeliveryRead =
  | {
      readonly ok: true;
      readonly documents: readonly DeliveredDocument[];
      /** What the source `initdata` brings in place of documents: they are in the envelope. */
      readonly initdata?: InitdataEnvelope;
    }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** A source of further documents: the extension point of R8. Read once, before any listener opens. */
export interface DeliverySource {
  readonly name: DeliveryName;
  collect(settings: DeliverySettings): DeliveryRead;
}

/** Data that the host fixed at launch and the hardware attests. */
export type HostData =
  | { readonly ok: true; readonly kind: 'HOSTDATA' | 'MRCONFIGID'; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly message: string; readonly help: string };

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
  check(rule: { readonly expression: string; readonly methods: readonly MethodName[] }): CheckedExpression;
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
  readonly kernelLine?: string;
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
