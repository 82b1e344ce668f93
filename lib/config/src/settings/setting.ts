import type { SectionName, SettingValue } from '../configuration.js';
import type { ValueType } from '../value-types/value-type.js';

/**
 * How a key is merged when several documents set it.
 *
 * - `intersect`, `union`: of the sets covered by the documents' lists.
 * - `minimum`, `earliest`, `or`: of the values. A key missing in the base document counts with its default.
 * - `base only`: allowed in the base document only.
 * - `owner`: the first document that sets it owns it; another value elsewhere is an error.
 */
export type MergeRule = 'intersect' | 'union' | 'minimum' | 'earliest' | 'or' | 'base only' | 'owner';

/** A row of the settings table: the source for parser, defaults, overrides, merging, flags and reference page. */
export interface Setting<T> {
  readonly section: SectionName;
  /** The key in TOML. */
  readonly key: string;
  readonly type: ValueType<T>;
  readonly default: T;
  /** Its purpose, in one sentence. */
  readonly purpose: string;
  /** An example value in TOML, for help and reference. */
  readonly example: string;
  readonly merge: MergeRule;
  /** It opens the guest: no override changes it once the documents restrict the API, unless `overridable` lists it. */
  readonly opensGuest: boolean;
  /** How it is overridden; undefined: not at all. */
  readonly override: OverrideNames | undefined;
  /**
   * `yes`; `kata`: a setting of Kata whose feature is not built yet, with a warning when set; `unused`: one that Kata's
   * agent accepts and never uses, and so does this one, with a warning when set; `later`: one of this agent, an error
   * when set. Setting the default value is always accepted.
   */
  readonly built: 'yes' | 'kata' | 'unused' | 'later';
  /** Why it has no effect with `[agent] forward`; undefined: it has its effect there too. */
  readonly withoutGuest?: string;
  /** Values beside the default that have their effect although the feature is not built. */
  readonly builtValues?: readonly T[];
}

export interface OverrideNames {
  /** `--log-level` for `log_level`. */
  readonly flag: string;
  /** `KATA_AGENT_LOG_LEVEL`. */
  readonly environment: string;
  /** `agent.log` */
  readonly kernelWord: string;
  /** How Kata's agent reads the word of a boolean: alone, with a value, or either. Default: with a value. */
  readonly kernelForm?: 'word' | 'value' | 'either';
  /** Another word that sets it when it has exactly this value. */
  readonly kernelAlias?: { readonly word: string; readonly value: string; readonly means: string };
}

/** A row of any type. */
export type SettingRow = Setting<SettingValue>;

/** The specific part of a row of `[agent]`; the rest follows from its key. */
interface AgentRow<T> {
  readonly key: string;
  readonly type: ValueType<T>;
  readonly default: T;
  readonly purpose: string;
  readonly example: string;
  readonly opensGuest?: true;
  readonly baseOnly?: true;
  readonly built?: Exclude<Setting<T>['built'], 'yes'>;
  readonly builtValues?: readonly T[];
  readonly withoutGuest?: string;
  /** Kata's kernel command line word if it is not `agent.` and the key. */
  readonly kernelWord?: string;
  readonly kernelForm?: OverrideNames['kernelForm'];
  readonly kernelAlias?: OverrideNames['kernelAlias'];
  readonly override?: false;
}

/** Creates a row of `[agent]`. Every key has an override of each kind, named after it, and the merge rule `owner`. */
export function agentSetting<T>(row: AgentRow<T>): Setting<T> {
  const opensGuest = row.opensGuest === true;
  const { key } = row;
  return {
    section: 'agent',
    key,
    type: row.type,
    default: row.default,
    purpose: row.purpose,
    example: row.example,
    merge: opensGuest || row.baseOnly === true ? 'base only' : 'owner',
    opensGuest,
    override:
      row.override === false
        ? undefined
        : {
            flag: `--${key.replaceAll('_', '-')}`,
            environment: `KATA_AGENT_${key.toUpperCase()}`,
            kernelWord: row.kernelWord ?? `agent.${key}`,
            ...(row.kernelForm === undefined ? {} : { kernelForm: row.kernelForm }),
            ...(row.kernelAlias === undefined ? {} : { kernelAlias: row.kernelAlias }),
          },
    built: row.built ?? 'yes',
    ...(row.withoutGuest === undefined ? {} : { withoutGuest: row.withoutGuest }),
    ...(row.builtValues === undefined ? {} : { builtValues: row.builtValues }),
  };
}
