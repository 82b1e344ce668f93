import { type MethodName, type RuntimeCall, type RuntimeName, runtimeCalls } from '@kata-agent/catalogue';
import { guestPull, type RequestFeature, requestFeatures } from '@kata-agent/catalogue/request-features';
import type { Configuration } from '@kata-agent/config';
import { compileGate, type Decision } from '@kata-agent/gate';
import { abilities } from './ability.js';

/** A call of a runtime that the gate denies. */
export interface RefusedStep {
  readonly call: RuntimeCall;
  /** The reason, for people, with the position in the configuration. */
  readonly reason: string;
  readonly code: Decision['code'];
}

/** How far one of the runtimes gets. */
export interface RuntimePreflight {
  readonly runtime: RuntimeName;
  /** The first unconditional call whose denial stops the runtime; absent: pods run. */
  readonly breaks?: RefusedStep;
  /** Something that each pod needs and that the agent refuses with any configuration. */
  readonly refusedFeature?: RequestFeature;
  /** Other denied unconditional calls, in order: the runtime continues, or retries forever. */
  readonly goesOnWithout: readonly RefusedStep[];
  /** Denied calls that only some pods cause, in order. */
  readonly sometimes: readonly RefusedStep[];
}

/** Lost features, and the methods that they need. */
export interface LostAbility {
  readonly name: string;
  readonly missing: readonly MethodName[];
}

export interface Preflight {
  readonly listener: string;
  readonly runtimes: readonly RuntimePreflight[];
  readonly lost: readonly LostAbility[];
  readonly kept: readonly string[];
  /** Methods that are served with rules: whether a request is allowed depends on the pod (`check --pod`). */
  readonly underRules: ReadonlyMap<MethodName, readonly string[]>;
  /** What the agent refuses by name, whatever the configuration. */
  readonly unbuilt: readonly RequestFeature[];
}

export interface PreflightOptions {
  /** The listener that the runtime calls; the first of the configuration by default. */
  readonly listener?: string;
  readonly runtimes?: readonly RuntimeName[];
  /** Whether the host shares files with the guest, as it does by default; never with `remote`. */
  readonly guest?: 'shared-fs' | 'confidential';
  /** `erofs`: roots are layers of disks, and no image is pulled in the guest. */
  readonly snapshotter?: 'erofs';
}

/**
 * Computes what the lists of a configuration mean for pods of each runtime: the two with a local machine by default. Rules are listed but not evaluated, since without a pod there is no request.
 */
export function preflight(
  configuration: Configuration,
  { listener, runtimes: wanted = ['go', 'rs'], guest, snapshotter }: PreflightOptions = {},
): Preflight {
  const name = listener ?? configuration.listeners[0]?.name ?? 'server_addr';
  const gate = compileGate(configuration, { listeners: [name] });
  const served = new Set(gate.served(name));
  const refused = (call: RuntimeCall): RefusedStep => {
    const { code, reason } = gate.decide(name, call.method);
    return { call, code, reason };
  };
  const unbuilt = requestFeatures.filter(({ built }) => !built);
  const runtimes = wanted.map((runtime): RuntimePreflight => {
    const steps = runtimeCalls[runtime].filter(
      ({ method }, index, all) =>
        !served.has(method) && all.findIndex((call) => call.method === method) === index,
    );
    const always = steps.filter(({ condition }) => condition === undefined);
    const breaks = always.find((call) => call.refused === 'fails');
    const pulls = runtime === 'remote' || (guest === 'confidential' && snapshotter === undefined);
    const refusedFeature =
      pulls && configuration.image.puller === 'none'
        ? requestFeatures.find(({ name: feature }) => feature === guestPull)
        : undefined;
    return {
      runtime,
      ...(breaks === undefined ? {} : { breaks: refused(breaks) }),
      ...(refusedFeature === undefined ? {} : { refusedFeature }),
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
    unbuilt,
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
