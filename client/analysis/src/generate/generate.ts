import {
  type Entry,
  type ExpectedCall,
  type FactName,
  type ImageConfigs,
  type RuntimeSetup,
  type Workload,
  expectedCalls,
  fuller,
  repositoryOf,
} from '@kata-agent/workloads';
import { factsOf } from '@kata-agent/gate';
import type { Ask } from '../write/ask.js';
import { facts as factRows } from '../write/facts.js';
import type { Plan } from '../write/plan.js';
import { type PlanOptions, planConfiguration } from '../write/plan-configuration.js';
import { planAccess } from '../write/planned-access.js';
import { seesImages } from './image-rules.js';
import { extraRules } from './extra-rules.js';
import { imageVolumes, liveVolumes } from '../write/live-volumes.js';
import { plannedAliases } from '../write/planned-aliases.js';
import { plannedSecrets } from './planned-secrets.js';
import { openFields } from './open-fields.js';

/** The input of a generated configuration, besides the workloads. */
export interface GenerateOptions extends Omit<PlanOptions, 'extra'> {
  readonly setup: RuntimeSetup;
  readonly images: ImageConfigs;
}

/**
 * Returns the smallest configuration under which all these workloads run. Reasons are fields of the pod, without the
 * pod's own path; with several workloads they begin with the workload's name.
 */
export function generate(workloads: readonly Workload[], options: GenerateOptions): Plan {
  const calls = workloads.flatMap((workload) => {
    const short = shortener(workload, workloads.length > 1);
    return expectedCalls(workload, options.setup, options.images).map((call) => ({ call, workload, short }));
  });
  const asks = calls.map(({ call, short }) => askOf(call, short));
  const access = planAccess(
    calls.map(({ call, short }) => ({ request: call.request, because: [short(call.because)] })),
  );
  const plan = planConfiguration(asks, {
    ...options,
    ...(seesImages(options.setup) ? { registries: repositoriesOf(workloads) } : {}),
    access,
    aliases: plannedAliases(workloads),
    secrets: plannedSecrets(workloads, (workload) => shortener(workload, workloads.length > 1)),
    extra: extraRules(
      workloads,
      options.setup,
      calls.map(({ call }) => call),
      options.images,
    ),
  });
  return {
    ...plan,
    live: liveVolumes(calls.map(({ call }) => call)),
    imageVolumes: imageVolumes(calls.map(({ call }) => call)),
    open: openFields(
      calls.map(({ call, workload, short }) => ({
        call,
        workload: workloads.length > 1 ? `${workload.name}: ` : '',
        short,
      })),
      workloads,
      options.setup,
      options.images,
    ),
    ...(options.setup.verifiedLayers === undefined ? {} : { verifiedLayers: true }),
  };
}

function repositoriesOf(workloads: readonly Workload[]): readonly string[] {
  const images = workloads.flatMap(({ containers }) => containers.map(({ image }) => image));
  return [...new Set(images.map(repositoryOf))].sort();
}

function shortener(workload: Workload, several: boolean): (reason: string) => string {
  const prefix = `${workload.path}.`;
  return (reason) => {
    if (!reason.includes(prefix)) return reason;
    return (several ? `${workload.name}: ` : '') + reason.replaceAll(prefix, '');
  };
}

function askOf(call: ExpectedCall, short: (reason: string) => string): Ask {
  const values = valuesOf(call);
  return {
    method: call.method,
    values,
    ...(call.container === undefined ? {} : { container: call.container }),
    forms: new Map(
      [...call.forms].map(([fact, forms]) => [
        fact,
        forms.map((form) => ({ ...form, because: short(form.because) })),
      ]),
    ),
    because: [short(call.because)],
    origins: new Map([...call.origins].map(([key, reason]) => [key, short(reason)])),
  };
}

/**
 * Returns all known values of a call's request: those that can be recorded, and others that the pod defines. The image
 * is omitted: the host's claim is not verified, and engines write names in different ways.
 */
function valuesOf({
  method,
  request,
  values,
  unknown,
}: ExpectedCall): ReadonlyMap<FactName, readonly Entry[]> {
  const { image: _image, ...recorded } = factsOf(method, request);
  const all = new Map<FactName, readonly Entry[]>(values);
  for (const [fact, { read }] of factRows) {
    const entries = read?.(recorded);
    if (entries === undefined || all.has(fuller.get(fact) ?? fact)) continue;
    // Of a guessed value, the forms have what is known.
    all.set(fact, unknown.has(fact) ? [] : entries);
  }
  // Each row of the table names its source.
  if (all.has('mountTable')) all.delete('sources');
  return all;
}
