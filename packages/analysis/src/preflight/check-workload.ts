import type { Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import type { ApiDocument, Configuration, Rule } from '@kata-agent/config';
import { type Decision, PrivilegeGate, privilegedRule } from '@kata-agent/gate';
import type { RuleBook } from '@kata-agent/gate/rules';
import { expectedCalls } from '../calls/expected-calls.js';
import type { Feature } from '../calls/feature.js';
import type { RuntimeSetup } from '../calls/runtime-setup.js';
import type { ImageConfigs } from '../pod/image-config.js';
import type { Workload } from '../pod/workload.js';
import { type Culprit, culpritsOf } from './culprits-of.js';
import { judgeOf } from './judge-of.js';
import { type Change, listChanges } from './list-changes.js';
import { SandboxView } from './sandbox-view.js';

/** A call that the workload causes and the configuration refuses. */
export interface RefusedCall {
  readonly method: MethodName;
  readonly because: string;
  readonly feature: Feature;
  readonly decision: Decision;
  /** What of the request the rule stumbles over; empty when the lists refuse, or when it cannot be told. */
  readonly culprits: readonly Culprit[];
  /** The rule that refuses; absent when the lists do. */
  readonly rule?: Rule;
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
  readonly configuration: Configuration;
  /** The gate's `compileRules`, which is loaded only where there are rules. */
  readonly compile: (rules: readonly Rule[]) => RuleBook;
  readonly setup: RuntimeSetup;
  readonly images: ImageConfigs;
}

/**
 * Puts each call that the workload will cause before the lists, and then before each rule by itself: all that refuse
 * it are found, not just the first. On the listener that the host calls, the first of the configuration.
 */
export function checkWorkload(workload: Workload, options: CheckOptions): WorkloadReport {
  const { configuration, compile, setup, images } = options;
  const lists = judgeOf(configuration);
  const rules = configuration.api.documents
    .flatMap((document) => document.rules)
    .map((rule) => ({ rule, book: compile([rule]) }));
  const { access } = new PrivilegeGate(configuration);
  const view = new SandboxView(configuration.listeners);
  const refused = new Map<string, RefusedCall>();
  const unjudged = new Set(workload.notes);
  for (const call of expectedCalls(workload, setup, images)) {
    const { method, because, feature } = call;
    const context = { ...view.next(call), access };
    const allowed = lists.decide(method, call.request, context);
    if (allowed.outcome === 'deny') {
      const key = allowed.rule === undefined ? method : `${method} ${allowed.rule} ${because}`;
      if (!refused.has(key)) refused.set(key, { method, because, feature, decision: allowed, culprits: [] });
      continue;
    }
    for (const { rule, book } of rules) {
      const decide = (request: Message): Decision => book.decide(allowed, request, context);
      const decision = decide(call.request);
      if (decision.outcome === 'allow') continue;
      const found = culpritsOf(call, rule.expression, (request) => decide(request).outcome === 'allow');
      const culprits = found.filter(({ fact }) => !call.unknown.has(fact));
      if (culprits.length > 0 || found.length === 0) {
        refused.set(`${method} ${rule.name} ${because}`, {
          method,
          because,
          feature,
          decision,
          culprits,
          rule,
        });
      } else {
        for (const { fact } of found) unjudged.add(`rule "${rule.name}": ${call.unknown.get(fact) ?? ''}`);
      }
    }
  }
  const calls = [...refused.values()];
  return {
    workload,
    sufficient: calls.length === 0,
    refused: calls,
    changes: changesFor(calls, configuration.api.documents),
    unjudged: [...unjudged],
  };
}

function changesFor(refused: readonly RefusedCall[], documents: readonly ApiDocument[]): readonly Change[] {
  const changes = new Map<string, Change>();
  for (const call of refused) {
    const { method, decision, rule } = call;
    if (decision.rule === privilegedRule) {
      const text = `${decision.message ?? ''} (${call.because}: ${decision.reason})`;
      changes.set(text, { text });
      continue;
    }
    const needed =
      rule === undefined ? listChanges(documents, decision.listener, method) : ruleChanges(call, rule);
    for (const change of needed) changes.set(`${change.place ?? ''} ${change.text}`, change);
  }
  return [...changes.values()];
}

function ruleChanges({ method, culprits }: RefusedCall, { name, span }: Rule): readonly Change[] {
  const place = `${span.file}:${span.line}`;
  if (culprits.length === 0) return [{ text: `let rule "${name}" pass ${method}`, place }];
  return culprits.map(({ text, because }) => ({
    text: `let rule "${name}" pass ${text} (${because})`,
    place,
  }));
}
