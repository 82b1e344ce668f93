import { type Profile, type ProfileRule, profiles, ruleNameOf } from '@kata-agent/catalogue/profiles';
import {
  hostnames,
  namesHostFiles,
  podNames,
  pullsImages,
  type RuntimeSetup,
  type Workload,
} from '@kata-agent/workloads';
import type { MethodName } from '@kata-agent/catalogue';
import { initdataAnnotation } from '@kata-agent/config';
import { hasGpus } from './container-rules.js';
import { copiedNames } from './mount-relation-rules.js';
import { sharedVolumes } from './volume-rules.js';
import type { Plan } from '../write/plan.js';
import { ruleExpression } from '../write/rule-expression.js';
import { facts } from '../write/fact-rules.js';
import type { AskedCall } from './asked-call.js';
import type { Given, ProfileUse } from '../write/profile-use.js';
import { readContainer } from './container-values.js';

/** Returns the profile for a setup; undefined: there is none. */
function profileFor(setup: RuntimeSetup): Profile | undefined {
  if (setup.snapshotter !== undefined || setup.verifiedLayers !== undefined) return undefined;
  if (pullsImages(setup)) return profiles.get('confidential-1');
  return profiles.get(namesHostFiles(setup) ? 'rs-shared-1' : 'go-shared-1');
}

/**
 * Returns the plan of one workload with the profile of its setup: rules that the profile has are left out. A rule of the profile that
 * decides otherwise for this pod is an exception.
 *
 * @param written methods whose rules the plan has itself, whatever the profile has
 */
export function withProfile<P extends Plan>(
  plan: P,
  workload: Workload,
  calls: readonly AskedCall[],
  setup: RuntimeSetup,
  written: readonly MethodName[],
): P & { readonly use?: ProfileUse } {
  const profile = profileFor(setup);
  if (profile === undefined) return plan;
  const created = calls.filter(({ call }) => call.method === 'CreateContainer');
  const containers = created.map((each) =>
    readContainer(
      each,
      calls.filter(({ call }) => call.method === 'ExecProcess' && call.container === each.call.container),
      workload,
      { copies: pullsImages(setup), named: namesHostFiles(setup) },
    ),
  );
  const misfits = new Set(containers.flatMap((container) => [...container.misfits]));
  if (hasGpus([workload], setup)) misfits.add('create-container-annotations');
  const served = new Set<string>(plan.endpoints.map(({ value }) => value));
  const planned = plannedRules(plan);
  const except: string[] = [];
  const covered = new Set<string>(['create-container-terminal-owners']);
  for (const rule of profile.rules) {
    const name = ruleNameOf(rule);
    if (written.includes(rule.method)) {
      except.push(name);
      continue;
    }
    if (!served.has(rule.method)) continue;
    if (fits(rule, name, planned, misfits)) covered.add(name);
    else except.push(name);
  }
  const isLeft = (name: string): boolean => !covered.has(name.replace(/-\d+$/, ''));
  return {
    ...plan,
    rules: plan.rules.filter((rule) => isLeft(nameOfPlanned(rule))),
    extra: plan.extra.filter((rule) => isLeft(ruleNameOf(rule))),
    use: {
      profile,
      except,
      values: podValuesOf(workload, calls, setup),
      containers: containers.map(({ values }) => values),
    },
  };
}

function nameOfPlanned({ method, fact }: Plan['rules'][number]): string {
  return ruleNameOf({ method, name: facts.get(fact)?.name ?? fact });
}

/** The expressions of a plan by name; several parts of one rule are not one expression. */
function plannedRules({ rules, extra }: Plan): ReadonlyMap<string, string> {
  return new Map([
    ...rules.map((rule) => [nameOfPlanned(rule), ruleExpression(rule)] as const),
    ...extra.map((rule) => [ruleNameOf(rule), rule.expression] as const),
  ]);
}

/** Rules that a plan leaves out when nothing is required, as the profile's do. */
const impliedWithout: ReadonlySet<string> = new Set([
  'create-container-terminals',
  'create-container-mount-order',
  'create-container-environment-complete',
  'exec-process-environment-complete',
  'create-container-capability-sets',
  'exec-process-capability-sets',
  'create-container-watched-volumes-isolated',
  'create-container-local-directories',
  'create-container-local-volumes',
  'create-container-volume-disks',
]);

/** Reports whether a rule of the profile decides as the plan's rule of the same name. */
function fits(
  { expression, name: short }: ProfileRule,
  name: string,
  planned: ReadonlyMap<string, string>,
  misfits: ReadonlySet<string>,
): boolean {
  const own = planned.get(name);
  if (own === undefined) return impliedWithout.has(name) && !misfits.has(name);
  // The order of mounts has no values, and a plan names the parents of its mounts.
  if (!expression.includes('values.') && short !== 'mount-order') return bare(own) === bare(expression);
  return !misfits.has(name);
}

/** Without comments and spaces, to compare rules that have no values. */
function bare(expression: string): string {
  return expression
    .replaceAll(/\/\/ .*$/gm, '')
    .replaceAll(/,(?=\s*\])/g, '')
    .replaceAll(/\s/g, '');
}

function podValuesOf(
  workload: Workload,
  calls: readonly AskedCall[],
  setup: RuntimeSetup,
): ProfileUse['values'] {
  const copies = pullsImages(setup);
  const signals = calls
    .filter(({ call }) => call.method === 'SignalProcess')
    .flatMap(({ ask }) =>
      (ask.values?.get('signal') ?? []).map((value) => ({
        value,
        because: ask.origins?.get(`signal ${JSON.stringify(value)}`),
      })),
    );
  const [openSignal] = calls.flatMap(({ ask }) => ask.forms?.get('signal') ?? []);
  const files = calls.map(({ call }) => call);
  const group = workload.volumeGroup;
  const profilesOf = workload.containers.flatMap(({ apparmorProfile }) => apparmorProfile ?? []);
  return {
    host_name: { value: `^(${hostnames(workload)})$`, because: 'metadata.name, hostname' },
    pod_name: { value: `^(${podNames(workload)})$`, because: 'metadata.name' },
    ...(workload.namespace === undefined
      ? {}
      : { namespace: { value: `^${exactly(workload.namespace)}$`, because: 'metadata.namespace' } }),
    annotations: [...workload.annotations.keys()]
      .filter((key) => key !== initdataAnnotation)
      .map((value) => ({ value, because: 'metadata.annotations' })),
    service_links: { value: workload.hasServiceLinks, because: 'enableServiceLinks' },
    signals: unique(signals as readonly Given[]),
    ...(openSignal === undefined ? {} : { any_signal: { value: true, because: openSignal.because } }),
    volume_groups: group === undefined ? [] : [{ value: group, because: 'securityContext.fsGroup' }],
    volumes: sharedVolumes(files, setup).map((value) => ({ value, because: 'volumeMounts' })),
    memory_volumes: [...workload.volumes.values()]
      .filter(({ memory }) => memory)
      .map(({ name, path }) => ({
        value: `/run/kata-containers/sandbox/ephemeral/${name}`,
        because: path.split('.').at(-1) ?? path,
      })),
    copied: copies ? copiedNames(files).map((value) => ({ value })) : [],
    app_armor: unique(profilesOf.map((value) => ({ value, because: 'securityContext.appArmorProfile' }))),
  };
}

function exactly(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/g, (letter) => `\\x{${(letter.codePointAt(0) ?? 0).toString(16)}}`);
}

function unique(list: readonly Given[]): readonly Given[] {
  return [...new Map(list.map((each) => [JSON.stringify(each.value), each])).values()];
}
