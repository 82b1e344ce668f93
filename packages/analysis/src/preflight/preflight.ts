import { type MethodName, type RuntimeCall, runtimeCalls } from '@kata-agent/catalogue';
import type { Configuration } from '@kata-agent/config';
import { compileGate } from '@kata-agent/gate';
import { abilities } from './ability.js';

/** A call of a runtime that the lists refuse. */
export interface RefusedStep {
  readonly call: RuntimeCall;
  /** Why, for people, with the place in the configuration. */
  readonly reason: string;
}

/** How far one of the runtimes gets. */
export interface RuntimePreflight {
  readonly runtime: 'go' | 'rs';
  /** The first call of every pod at which the runtime gives up; absent: pods run. */
  readonly breaks?: RefusedStep;
  /** All other refused calls of every pod, in order: what the runtime does without, or asks again for ever. */
  readonly goesOnWithout: readonly RefusedStep[];
  /** Refused calls that some pods cause, in order. */
  readonly sometimes: readonly RefusedStep[];
}

/** What people can no longer do, and the methods that it would take. */
export interface LostAbility {
  readonly name: string;
  readonly missing: readonly MethodName[];
}

export interface Preflight {
  readonly listener: string;
  readonly runtimes: readonly RuntimePreflight[];
  readonly lost: readonly LostAbility[];
  readonly kept: readonly string[];
  /** Methods that are served, but under rules: what they refuse depends on the pod (`check --pod`). */
  readonly underRules: ReadonlyMap<MethodName, readonly string[]>;
}

/**
 * What the lists of a configuration mean for pods of either runtime, on the listener that the host calls: the first of
 * the configuration, if none is named. Rules are named but not evaluated, since without a pod there is no request.
 */
export function preflight(configuration: Configuration, listener?: string): Preflight {
  const name = listener ?? configuration.listeners[0]?.name ?? 'server_addr';
  const gate = compileGate(configuration, { listeners: [name] });
  const served = new Set(gate.served(name));
  const refused = (call: RuntimeCall): RefusedStep => ({
    call,
    reason: gate.decide(name, call.method).reason,
  });
  const runtimes = (['go', 'rs'] as const).map((runtime): RuntimePreflight => {
    const steps = runtimeCalls[runtime].filter(
      ({ method }, index, all) =>
        !served.has(method) && all.findIndex((call) => call.method === method) === index,
    );
    const always = steps.filter(({ condition }) => condition === undefined);
    const breaks = always.find((call) => call.refused === 'fails');
    return {
      runtime,
      ...(breaks === undefined ? {} : { breaks: refused(breaks) }),
      goesOnWithout: always.filter((call) => call.refused !== 'fails').map(refused),
      sometimes: steps.filter(({ condition }) => condition !== undefined).map(refused),
    };
  });
  const lost = abilities
    .map(({ name: ability, needs }) => ({
      name: ability,
      missing: needs.filter((method) => !served.has(method)),
    }))
    .filter(({ missing }) => missing.length > 0);
  const lostNames = new Set(lost.map((ability) => ability.name));
  return {
    listener: name,
    runtimes,
    lost,
    kept: abilities.map((ability) => ability.name).filter((ability) => !lostNames.has(ability)),
    underRules: rulesByMethod(configuration, served),
  };
}

function rulesByMethod(
  configuration: Configuration,
  served: ReadonlySet<MethodName>,
): ReadonlyMap<MethodName, readonly string[]> {
  const rules = new Map<MethodName, string[]>();
  for (const rule of configuration.api.documents.flatMap((document) => document.rules)) {
    if (rule.enforcement === 'audit') continue;
    for (const method of rule.methods.keys()) {
      if (served.has(method)) rules.set(method, [...(rules.get(method) ?? []), rule.name]);
    }
  }
  return rules;
}
