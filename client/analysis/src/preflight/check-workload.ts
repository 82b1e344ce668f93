import { openLine } from '../write/render-plan.js';
import {
  digestIn,
  type ExpectedCall,
  expectedCalls,
  type Feature,
  gpuNotes,
  type ImageConfigs,
  type RuntimeSetup,
  type Workload,
} from '@kata-agent/workloads';
import { isMessage, type Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import { guestPull } from '@kata-agent/catalogue/request-features';
import type { ApiDocument, Configuration, Rule } from '@kata-agent/config';
import {
  type Decision,
  privilegedRule,
  PrivilegeGate,
  programWithoutRoot,
  type RuleImage,
} from '@kata-agent/gate';
import type { RuleBook } from '@kata-agent/gate/rules';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { type Culprit, culpritsOf } from './culprits-of.js';
import { offlineAuthorizer } from '../suites/offline-authorizer.js';
import { type Change, listChanges } from './list-changes.js';
import { SandboxView } from './sandbox-view.js';
import { type UnbuiltFeature, unbuiltFeatures } from './unbuilt-feature.js';

/** A call of the workload that the configuration denies. */
export interface RefusedCall {
  readonly method: MethodName;
  readonly because: string;
  readonly feature: Feature;
  readonly decision: Decision;
  /** The values of the request that the rule denies; empty if the gate denies, or if they are not found. */
  readonly culprits: readonly Culprit[];
  /** The rule that denies; absent if the gate does. */
  readonly rule?: Rule;
}

/** The result of checking one workload. */
export interface WorkloadReport {
  readonly workload: Workload;
  readonly sufficient: boolean;
  /** In the order of the calls, each reason once. The first is where the pod stops, if it stops. */
  readonly refused: readonly RefusedCall[];
  /** The smallest change that fixes it; empty if sufficient. */
  readonly changes: readonly Change[];
  /** What the workload needs and no configuration allows. */
  readonly unbuilt: readonly UnbuiltFeature[];
  /** Code of the workload that the source of a variable chooses, whatever the rules are: container, field and why. */
  readonly chosenCode: readonly string[];
  /** What could not be checked, and why: facts that the manifest does not have. */
  readonly unchecked: readonly string[];
}

/** The setup of the check. */
export interface CheckOptions {
  readonly configuration: Configuration;
  /** The gate's `compileRules`, which is loaded only if there are rules. */
  readonly compile: (rules: readonly Rule[]) => RuleBook;
  readonly setup: RuntimeSetup;
  /** The listener that the runtime calls; the first of the configuration by default. */
  readonly listener?: string;
  readonly images: ImageConfigs;
}

/**
 * Checks each call that the workload will cause against the gate, and then against each rule separately, to find all
 * denials and not only the first.
 */
export function checkWorkload(workload: Workload, options: CheckOptions): WorkloadReport {
  const { configuration, compile, setup, images, listener } = options;
  const lists = offlineAuthorizer(configuration);
  const rules = configuration.api.documents
    .flatMap((document) => document.rules)
    .map((rule) => ({ rule, book: compile([rule]) }));
  const { access } = new PrivilegeGate(configuration);
  const verifiedLayers = configuration.image.layers === 'verified';
  const view = new SandboxView(configuration.listeners, listener);
  const refused = new Map<string, RefusedCall>();
  const unchecked = new Set([...workload.notes, ...gpuNotes(workload, setup)]);
  const expected = expectedCalls(workload, setup, images);
  for (const call of expected) {
    const { method, because, feature } = call;
    const context = { ...view.next(call), access, verifiedLayers };
    const allowed = lists.decide(method, call.request, context);
    if (allowed.outcome === 'deny') {
      const key = allowed.rule === undefined ? method : `${method} ${allowed.rule} ${because}`;
      if (!refused.has(key)) refused.set(key, { method, because, feature, decision: allowed, culprits: [] });
      continue;
    }
    for (const { rule, book } of rules) {
      const decide = (request: Message): Decision => {
        const { image } = imageOfRequest(request, images, configuration.image);
        return book.decide(allowed, request, image === undefined ? context : { ...context, image });
      };
      const decision = decide(call.request);
      const { incomplete } = imageOfRequest(call.request, images, configuration.image);
      const needsImage = book.decide(allowed, call.request, context).pending !== undefined;
      if (needsImage && incomplete !== undefined && isUndecided(decision)) {
        unchecked.add(
          `rule "${rule.name}": it is evaluated after the pull, and not all of image ${incomplete} is known; pass --image-layout ${incomplete}=DIR`,
        );
        continue;
      }
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
        for (const { fact } of found) unchecked.add(`rule "${rule.name}": ${call.unknown.get(fact) ?? ''}`);
      }
    }
  }
  const calls = [...refused.values()];
  const unbuilt = unbuiltFeatures(workload, setup, images, configuration);
  return {
    workload,
    sufficient: calls.length === 0 && unbuilt.length === 0,
    refused: calls,
    changes: changesFor(calls, configuration.api.documents),
    unbuilt,
    chosenCode: chosenCode(expected, workload),
    unchecked: [...unchecked],
  };
}

function chosenCode(calls: readonly ExpectedCall[], { path }: Workload): readonly string[] {
  const found = calls.flatMap(({ method, container = '', open }) =>
    method !== 'CreateContainer'
      ? []
      : open
          .filter(({ isCode }) => isCode === true)
          .map(({ field, why }) =>
            openLine({ container, fields: [field], why: why.replaceAll(`${path}.`, '') }),
          ),
  );
  return [...new Set(found)];
}

/** Reports whether a decision may be another one with all of the image. */
function isUndecided({ outcome, pending }: Decision): boolean {
  return outcome === 'deny' || pending !== undefined;
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

function ruleChanges({ method, culprits }: RefusedCall, { name, span, profile }: Rule): readonly Change[] {
  const what =
    profile === undefined
      ? `change rule "${name}"`
      : `change [api.values], which rule "${name}" of the profile reads,`;
  const place = `${span.file}:${span.line}`;
  if (culprits.length === 0) return [{ text: `${what} to allow ${method}`, place }];
  return culprits.map(({ text, because }) => ({
    text: `${what} to allow ${text} (${because})`,
    place,
  }));
}

/** What rules will see of the image of a request, as far as it is known without pulling. */
interface KnownImage {
  /** Undefined: the root comes from the host, or nothing is known. */
  readonly image: RuleImage | undefined;
  /** The image of which something is not known. */
  readonly incomplete?: string;
}

/** Returns what rules will see of the image of a request. */
function imageOfRequest(
  request: Message,
  images: ImageConfigs,
  { puller }: Pick<Configuration['image'], 'puller'>,
): KnownImage {
  if (!isMessage(request, CreateContainerRequestSchema)) return { image: undefined };
  const pull = request.storages.find(({ driver }) => driver === guestPull);
  if (pull === undefined) return { image: undefined };
  if (request.OCI?.Annotations['io.kubernetes.cri.container-type'] === 'sandbox')
    return { image: { from: 'pause_bundle' } };
  const reference = pull.source;
  // Whether the data hub returns a digest is not known.
  if (puller !== 'built-in') return { image: undefined, incomplete: reference };
  const config = images.get(reference);
  const digest = config?.digest ?? digestIn(reference);
  const image: RuleImage = { from: 'pulled', reference, digest };
  if (config === undefined) return { image, incomplete: reference };
  return {
    image: {
      ...image,
      config,
      manifestDigest: config.manifestDigest,
      program: programWithoutRoot(request, config),
    },
    ...(digest === undefined ? { incomplete: reference } : {}),
  };
}
