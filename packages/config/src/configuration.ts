import type { MethodName } from '@kata-agent/catalogue';
import type { AgentSettings } from './agent-settings.js';
import type { Diagnostic, Span } from './diagnostic.js';

/** An entry of an endpoint list as it was written: a method's name, `@group` or `*`. */
export interface ListEntry {
  readonly entry: string;
  readonly span: Span;
}

/**
 * What one document's `[api]` says. Groups and `*` are expanded: each method that a list covers points to the
 * entry that brought it in. `allowed` absent: no allow-list; present and empty: nothing is allowed.
 *
 * A method whose own name is written stays in its list even if it came after `release`; the release decides first.
 */
export interface ApiDocument {
  readonly file: string;
  readonly release?: string;
  readonly allowed?: ReadonlyMap<MethodName, ListEntry>;
  readonly blocked?: ReadonlyMap<MethodName, ListEntry>;
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

export type SectionName = 'agent' | 'api' | 'audit' | 'limits';

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
  /** How it was chosen: `built in`, `-c`, `default path`, `agent.config_file`. */
  readonly source: string;
  /** Of the bytes that were parsed; lower-case hex. */
  readonly sha256: string;
}

/** What the agent runs under. Frozen through and through: nothing at run time loosens it (S4). */
export interface Configuration {
  readonly settings: AgentSettings;
  readonly api: ApiSettings;
  readonly audit: AuditSettings;
  readonly limits: LimitSettings;
  /** Empty: no document, the full API is served. */
  readonly documents: readonly DocumentRecord[];
  /** SHA-256 of the ordered list of the documents' digests; lower-case hex. */
  readonly digest: string;
  /** Some method is not served. */
  readonly restricted: boolean;
  /** One for each row of the settings table, in its order. */
  readonly values: readonly Effective[];
  readonly ignoredOverrides: readonly IgnoredOverride[];
  readonly warnings: readonly Diagnostic[];
}

/** The outcome of loading: a configuration, or everything that is wrong. */
export type Loaded =
  | { readonly ok: true; readonly configuration: Configuration }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[]; readonly exitCode: 1 };

/** The bytes of a document, or why they may not be used. `missing`: nothing is at that path. */
export type DocumentRead =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly missing: boolean; readonly message: string; readonly help: string };

/** Opens, checks and reads a document once (S6). */
export interface DocumentReader {
  read(path: string): DocumentRead;
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
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The text of /proc/cmdline. */
  readonly kernelLine?: string;
  /** /etc/kata-agent/config.toml; undefined: no default path is looked at. */
  readonly defaultPath?: string;
  readonly files: DocumentReader;
  /** The methods whose handlers the bundle contains; undefined: all (R13). */
  readonly handlers?: ReadonlySet<MethodName>;
}
