import type { MethodName } from '@kata-agent/catalogue';
import type { Rule } from '@kata-agent/config';
import type { Decision } from '@kata-agent/gate';
import type { ExpectedCall } from '../calls/expected-call.js';
import { expectedCalls } from '../calls/expected-calls.js';
import type { Feature } from '../calls/feature.js';
import type { RuntimeSetup } from '../calls/runtime-setup.js';
import type { ImageConfigs } from '../pod/image-config.js';
import type { Workload } from '../pod/workload.js';
import type { Judge } from '../test/run-suite.js';
import { ruleContextOf } from '../test/rule-context-of.js';
import { type Culprit, culpritsOf } from './culprits-of.js';

/** A call that the workload causes and the configuration refuses. */
export interface RefusedCall {
  readonly method: MethodName;
  readonly because: string;
  readonly feature: Feature;
  readonly decision: Decision;
  /** What of the request the rule stumbles over; empty when the lists refuse, or when it cannot be told. */
  readonly culprits: readonly Culprit[];
}

/** What would make the workload work. */
export interface Change {
  /** One line, in the imperative: `add "ExecProcess" to allowed_endpoints`. */
  readonly text: string;
  /** `config.toml:12`; absent: wherever fits. */
  readonly place?: string;
}

/** What a configuration means for one workload. */
export interface WorkloadReport {
  readonly workload: Workload;
  readonly sufficient: boolean;
  /** In the order of the calls, each reason once. The first is where a pod stops, if it stops. */
  readonly refused: readonly RefusedCall[];
  /** The least that mends it; empty when sufficient. */
  readonly changes: readonly Change[];
  /** What could not be judged, and why: facts that the description does not tell. */
  readonly unjudged: readonly string[];
}

/** What the check is made with. */
export interface CheckOptions {
  readonly judge: Judge;
  /** The rules of the configuration, by name: for the places of what has to be changed. */
  readonly rules: ReadonlyMap<string, Rule>;
  readonly setup: RuntimeSetup;
  readonly images: ImageConfigs;
}

/** Puts each call that the workload will cause before the configuration. */
export function checkWorkload(workload: Workload, options: CheckOptions): WorkloadReport {
  const { judge, rules, setup, images } = options;
  const unjudged = new Set(workload.notes);
  const refused = new Map<string, RefusedCall>();
  for (const call of expectedCalls(workload, setup, images)) {
    const decision = decide(judge, call);
    if (decision.outcome === 'allow') continue;
    const { method, because, feature } = call;
    const rule = decision.rule;
    if (rule === undefined) {
      const key = method;
      if (!refused.has(key)) refused.set(key, { method, because, feature, decision, culprits: [] });
      continue;
    }
    const found = culpritsOf(
      call,
      rules.get(rule)?.expression ?? '',
      (request) => decide(judge, { ...call, request }).rule !== rule,
    );
    const culprits = found.filter(({ fact }) => !call.unknown.has(fact));
    if (culprits.length === 0 && found.length > 0) {
      for (const { fact } of found) unjudged.add(`rule "${rule}": ${call.unknown.get(fact) ?? ''}`);
      continue;
    }
    refused.set(`${method} ${rule} ${because}`, { method, because, feature, decision, culprits });
  }
  const calls = [...refused.values()];
  return {
    workload,
    sufficient: calls.length === 0,
    refused: calls,
    changes: changesFor(calls, rules),
    unjudged: [...unjudged],
  };
}

function decide(judge: Judge, call: Pick<ExpectedCall, 'method' | 'request'>): Decision {
  const test = { method: call.method, request: call.request };
  return judge.decide(call.method, call.request, ruleContextOf(test, judge.listeners));
}

function changesFor(refused: readonly RefusedCall[], rules: ReadonlyMap<string, Rule>): readonly Change[] {
  const changes = new Map<string, Change>();
  for (const { method, decision, culprits } of refused) {
    for (const change of decision.rule === undefined
      ? [listChange(method, decision)]
      : ruleChanges(method, decision.rule, culprits, rules.get(decision.rule))) {
      changes.set(change.text, change);
    }
  }
  return [...changes.values()];
}

function listChange(method: MethodName, { reason }: Decision): Change {
  const place = /\(([^()]+:\d+)\)$/.exec(reason)?.[1];
  const where = place === undefined ? {} : { place };
  const group = /^in (blocked_endpoints.*?) as (\S+)/.exec(reason);
  if (group !== null) {
    return {
      text: `take ${group[2] ?? ''} out of ${group[1] ?? ''}, or name its other members one by one: ${method} is needed`,
      ...where,
    };
  }
  if (reason.startsWith('in blocked_endpoints'))
    return { text: `take "${method}" out of blocked_endpoints`, ...where };
  if (reason.startsWith('came with')) return { text: `raise release: ${method} ${reason}` };
  return { text: `add "${method}" to allowed_endpoints`, ...where };
}

function ruleChanges(
  method: MethodName,
  name: string,
  culprits: readonly Culprit[],
  rule: Rule | undefined,
): readonly Change[] {
  const where = rule === undefined ? {} : { place: `${rule.span.file}:${rule.span.line}` };
  if (culprits.length === 0) return [{ text: `let rule "${name}" pass ${method}`, ...where }];
  return culprits.map(({ text, because }) => ({
    text: `let rule "${name}" pass ${text} (${because})`,
    ...where,
  }));
}
