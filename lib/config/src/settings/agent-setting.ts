import type { ValueType } from '../value-types/value-type.js';
import type { OverrideNames, Setting } from './setting.js';

/** The specific part of a row of `[agent]`; the rest follows from its key. */
export interface AgentRow<T> {
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
