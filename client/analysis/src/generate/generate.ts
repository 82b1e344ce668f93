import {
  type Entry,
  type ExpectedCall,
  expectedCalls,
  type FactName,
  fuller,
  type ImageConfigs,
  type OpenField,
  repositoryOf,
  type RuntimeSetup,
  type Workload,
} from '@kata-agent/workloads';
import { factsOf } from '@kata-agent/gate';
import type { Ask, FactScore, OpenFields, Plan } from '../write/plan.js';
import { facts as factRows } from '../write/fact-rules.js';
import { type PlanOptions, planConfiguration } from '../write/plan-configuration.js';
import { planAccess } from '../write/planned-access.js';
import { imageVolumes, liveVolumes, plannedAliases, plannedSecrets } from '../write/planned-settings.js';
import { processesOf, seesImages } from './image-rules.js';
import { operatorMethods, withOperatorListener } from './operator-listener.js';
import { withProfile } from './use-profile.js';
import { extraRules } from './extra-rules.js';

/** What `runs_image_entrypoint` compares with the image. Values of variables that the pod sets are not among it. */
const compared: ReadonlySet<FactName> = new Set<FactName>(['cwd', 'user', 'groups']);

/** A plan that is made from pods: a log does not say which facts there are. */
export interface GeneratedPlan extends Plan {
  /** How many facts of the containers' requests rules constrain. */
  readonly score: FactScore;
}

/** The input of a generated configuration, besides the workloads. */
export interface GenerateOptions extends Omit<PlanOptions, 'extra'> {
  readonly setup: RuntimeSetup;
  readonly images: ImageConfigs;
  /** Whether `privileged_containers = "allow"` is written if a container needs it. */
  readonly allowPrivileged?: boolean;
  /** Whether all rules are written out. Default: a profile of the agent stands for those that it has, if there is one for the setup. */
  readonly explicit?: boolean;
  /** The listener of the base document on which operators run any command and read all streams. Default: none. */
  readonly operators?: string | undefined;
}

/**
 * Returns the smallest configuration under which all these workloads run. Reasons are fields of the pod, without the
 * pod's own path; with several workloads they begin with the workload's name.
 */
export function generate(workloads: readonly Workload[], options: GenerateOptions): GeneratedPlan {
  const calls = workloads.flatMap((workload) => {
    const short = shortener(workload, workloads.length > 1);
    return expectedCalls(workload, options.setup, options.images).map((call) => ({
      call,
      workload,
      short,
      ask: askOf(call, short),
    }));
  });
  const pinned = seesImages(options.setup)
    ? containersOfImages(workloads, options.setup, options.images)
    : new Set<string>();
  const access = planAccess(
    calls.map(({ call: { request }, ask: { because, origins } }) => ({ request, because, origins })),
    { allowPrivileged: options.allowPrivileged === true },
  );
  const asks = calls.map(({ ask }) => ask);
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
  const [workload] = workloads;
  const isProfiled = options.explicit !== true && workload !== undefined && workloads.length === 1;
  const { operators } = options;
  const written = operators === undefined ? [] : operatorMethods;
  const used = isProfiled ? withProfile(plan, workload, calls, options.setup, written) : plan;
  return {
    ...(operators === undefined ? used : withOperatorListener(used, operators)),
    live: liveVolumes(calls.map(({ call }) => call)),
    imageVolumes: imageVolumes(calls.map(({ call }) => call)),
    open: openFields(
      calls.map(({ call, workload, short }) => ({
        call,
        workload: workloads.length > 1 ? `${workload.name}: ` : '',
        short,
      })),
      pinned,
    ),
    score: scoreOf(calls, pinned),
    ...(options.setup.verifiedLayers === undefined ? {} : { verifiedLayers: true }),
  };
}

/** Returns how many facts of the calls rules constrain. A fact with one value that is not known is open. */
function scoreOf(
  calls: readonly { readonly call: ExpectedCall; readonly workload: Workload; readonly ask: Ask }[],
  pinned: ReadonlySet<string>,
): FactScore {
  const open = new Map<string, boolean>();
  for (const { call, workload, ask } of calls) {
    if (call.container === undefined) continue;
    for (const fact of ask.values?.keys() ?? []) {
      const key = JSON.stringify([workload.place, call.method, call.container, fact]);
      const isOpen = call.open.some((each) => each.fact === fact && !isCompared(each, call, pinned));
      open.set(key, open.get(key) === true || isOpen);
    }
  }
  const facts = open.size;
  return { constrained: [...open.values()].filter((isOpen) => !isOpen).length, facts };
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

/** A call, the name of its workload if there are several, and a function that shortens paths in reasons. */
interface NamedCall {
  readonly call: ExpectedCall;
  readonly workload: string;
  readonly short: (reason: string) => string;
}

/**
 * Returns the fields that rules leave open, by container and reason: those whose values the input does not have, but for what the rule
 * about images compares.
 */
function openFields(calls: readonly NamedCall[], pinned: ReadonlySet<string>): readonly OpenFields[] {
  const found = new Map<string, { container: string; fields: Set<string>; why: string }>();
  for (const { call, workload, short } of calls) {
    // Other calls of a container have the same origins.
    if (!['CreateContainer', 'ExecProcess', 'SignalProcess'].includes(call.method)) continue;
    const name = call.container ?? '';
    for (const open of call.open) {
      if ((call.method === 'SignalProcess') !== (open.fact === 'signal')) continue;
      if (isCompared(open, call, pinned)) continue;
      const container = name === '' ? '' : workload + name;
      const why = short(open.why);
      const key = JSON.stringify([workload, name, why]);
      const group = found.get(key) ?? { container, fields: new Set(), why };
      group.fields.add(short(open.field));
      found.set(key, group);
    }
  }
  return [...found.values()].map(({ fields, ...each }) => ({ ...each, fields: [...fields] }));
}

/** Reports whether the rule about images has the value that no other rule has. It is about created containers only. */
function isCompared(
  { fact }: OpenField,
  { method, container = '' }: ExpectedCall,
  pinned: ReadonlySet<string>,
): boolean {
  return method === 'CreateContainer' && compared.has(fact) && pinned.has(container);
}

/** Returns the names of containers whose process is compared with the image, in each workload that has them. */
function containersOfImages(
  workloads: readonly Workload[],
  setup: RuntimeSetup,
  images: ImageConfigs,
): ReadonlySet<string> {
  const processes = [...processesOf(workloads, setup, images).values()].filter(
    (process) => process !== undefined,
  );
  const without = new Set(
    processes.filter(({ comparison }) => comparison === undefined).map(({ container }) => container.name),
  );
  return new Set(processes.map(({ container }) => container.name).filter((name) => !without.has(name)));
}
