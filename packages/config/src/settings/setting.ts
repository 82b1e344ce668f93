import type { SectionName, SettingValue } from '../configuration.js';
import type { ValueType } from '../value-types/value-type.js';

/**
 * What becomes of a key when several documents set it.
 *
 * - `intersect`, `union`: of what the documents' lists cover.
 * - `minimum`, `earliest`, `or`: of what they say. What the base document leaves out counts with its default.
 * - `base only`: it may stand in the base document alone.
 * - `owner`: the first document that sets it owns it; another value elsewhere is an error.
 */
export type MergeRule = 'intersect' | 'union' | 'minimum' | 'earliest' | 'or' | 'base only' | 'owner';

/** One row of the settings table: all that parser, defaults, overrides, merging, flags and reference page know of a key. */
export interface Setting<T> {
  readonly section: SectionName;
  /** As written in TOML. */
  readonly key: string;
  readonly type: ValueType<T>;
  readonly default: T;
  /** What it is for, in a sentence. */
  readonly purpose: string;
  /** A value in TOML, for help and reference. */
  readonly example: string;
  readonly merge: MergeRule;
  /** It opens the guest: no override changes it once the documents restrict the API, unless `overridable` names it. */
  readonly opensGuest: boolean;
  /** How it is overridden; undefined: not at all. */
  readonly override: OverrideNames | undefined;
  /**
   * `yes`; `kata`: a setting of Kata's without its feature yet, which warns when it is set; `later`: ours, and an
   * error when it is set. Setting the default is fine: nothing is missing then.
   */
  readonly built: 'yes' | 'kata' | 'later';
}

export interface OverrideNames {
  /** `log_level` is set by `--log-level`. */
  readonly flag: string;
  /** `KATA_AGENT_LOG_LEVEL`. */
  readonly environment: string;
  /** `agent.log`. A boolean's word may stand without a value. */
  readonly kernelWord: string;
  /** Another word that sets it, if it has exactly this value. */
  readonly kernelAlias?: { readonly word: string; readonly value: string; readonly means: string };
}

/** A row whatever its type. */
export type SettingRow = Setting<SettingValue>;
